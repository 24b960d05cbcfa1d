"""Races: the end of sessions wins over a concurrent refresh or login."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from httpx2 import Response

from examples.catalogue.db.session import Database
from examples.catalogue.tests.api import Api
from mscr.testing.api import Account
from mscr.testing.tokens import Tokens, live_sessions, what_opens

# So many concurrent requests can take long on a busy machine.
pytestmark = pytest.mark.settings(
    DATABASE_POOL_TIMEOUT_SECONDS=30, DATABASE_LOCK_TIMEOUT_SECONDS=30
)

# Turns of the event loop between one rival and the next, one value for each round. With several
# values, the end falls among the rivals on either database, however long it takes.
SPREADS = (0, 3, 8, 20, 8, 1, 5, 12)
DEVICES = 5
LOGINS = 25
LOGOUTS = 40
NEW_PASSWORD = "battery staple horse"

Call = Coroutine[Any, Any, Response]


def _end_sessions(api: Api, how: str, account: Account, admin: Account) -> Call:
    """Return the call that ends every session of the account."""
    me, password = "/api/v1/users/me", account.password
    deactivate = f"/api/v1/users/{account.public_id}/deactivate"
    change = {"current_password": password, "new_password": NEW_PASSWORD}
    method, path, caller, body = {
        "logout-all": ("POST", "/api/v1/auth/logout-all", account, None),
        "change-password": ("POST", f"{me}/change-password", account, change),
        "delete": ("DELETE", me, account, {"password": password}),
        "deactivate": ("POST", deactivate, admin, None),
    }[how]
    return api.client.request(method, path, headers=caller.headers, json=body)


async def _race(rivals: list[Call], end: Call, *, after: int) -> list[Tokens]:
    """Send all concurrently, the end after so many rivals; return the tokens of the rivals."""
    responses = await asyncio.gather(*rivals[:after], end, *rivals[after:])
    assert responses.pop(after).is_success
    assert {response.status_code for response in responses} <= {200, 401}
    return [response.json()["data"] for response in responses if response.is_success]


async def _log_in(api: Api, account: Account) -> Tokens:
    """Start one more session with a single request."""
    tokens: Tokens = (await api.try_login(account.email, account.password)).json()["data"]
    return tokens


@pytest.mark.parametrize("how", ["logout-all", "change-password", "delete", "deactivate"])
async def test_no_refresh_survives_the_end_of_all_sessions(
    api: Api, database: Database, how: str
) -> None:
    """RT10: the end is sent after none, some, or most of the refreshes."""
    admin = await api.register_admin()
    for turn, spread in enumerate(SPREADS):
        account = await api.register()
        logins = [await _log_in(api, account) for _ in range(DEVICES)]
        refreshes = _spread([api.refresh(login["refresh_token"]) for login in logins], spread)
        end = _end_sessions(api, how, account, admin)

        tokens = await _race(refreshes, end, after=turn * DEVICES // len(SPREADS))

        # A change of password starts a session of its own.
        assert await live_sessions(database, account) == (how == "change-password")
        assert await what_opens(api, logins[-1], *tokens[:1]) == []


async def test_no_refresh_survives_the_logout_of_its_session(api: Api, account: Account) -> None:
    """RT10: the logout is sent first or second."""
    for turn in range(LOGOUTS):
        login = await _log_in(api, account)
        body = {"refresh_token": login["refresh_token"]}
        logout = api.client.post("/api/v1/auth/logout", json=body)

        tokens = await _race([api.refresh(login["refresh_token"])], logout, after=turn % 2)

        assert await what_opens(api, *(tokens or [login])) == []


async def test_no_login_with_the_old_password_survives_a_password_change(
    api: Api, database: Database
) -> None:
    """RC2: logins read the account before the change, and start their sessions after it."""
    for spread in SPREADS:
        account = await api.register()
        logins: list[Call] = [api.try_login(account.email, account.password) for _ in range(LOGINS)]
        change = _end_sessions(api, "change-password", account, account)

        tokens = await _race(_spread(logins, spread), change, after=0)

        assert await live_sessions(database, account) == 1
        assert await what_opens(api, *tokens[-1:]) == []


def _spread(calls: list[Call], spread: int) -> list[Call]:
    """Delay each call by so many turns of the event loop after the one before."""
    return [_later(spread * place, call) for place, call in enumerate(calls)]


async def _later(turns: int, call: Call) -> Response:
    for _ in range(turns):
        await asyncio.sleep(0)
    return await call
