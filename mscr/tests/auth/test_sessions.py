"""Sessions of a user: list, end, maximum number, and recent authentication."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from fastapi import FastAPI
from httpx2 import Response
from sqlalchemy import select

from examples.catalogue.db.session import Database
from examples.catalogue.models.kit_tables import AuditEvent
from examples.catalogue.tests.api import Api
from mscr.testing.api import Account, bearer
from mscr.testing.applications import client_from
from mscr.testing.problems import assert_unauthorized, problem
from mscr.testing.tokens import change_family, live_sessions, rotated, session_id, what_opens

SESSIONS = "/api/v1/auth/sessions"
REAUTHENTICATE = "/api/v1/auth/reauthenticate"
ME = "/api/v1/users/me"
ADDRESS = "203.0.113.7"
BROWSER = "Mozilla/5.0 (X11; Linux x86_64) Firefox/152.0"

LONG_AGO = timedelta(minutes=16)
long_access = pytest.mark.settings(JWT_ACCESS_TOKEN_EXPIRE_MINUTES=60)


@pytest.fixture
async def browser(app: FastAPI) -> AsyncIterator[Api]:
    """Send from another address and with another user agent."""
    async with client_from(ADDRESS, app) as client:
        client.headers["User-Agent"] = BROWSER
        yield Api(client, app.state.database)


async def list_sessions(api: Api, account: Account) -> list[dict[str, Any]]:
    response = await api.client.get(SESSIONS, headers=account.headers)
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()["data"]
    return found


async def end(api: Api, account: Account, session: str = "") -> Response:
    path = f"{SESSIONS}/{session}" if session else SESSIONS
    return await api.client.delete(path, headers=account.headers)


# --- list


async def test_a_session_has_its_times_address_and_user_agent(
    api: Api, account: Account, browser: Api
) -> None:
    """SE1."""
    before = datetime.now(UTC)
    login = await browser.login(account)

    newest, first = await list_sessions(api, account)

    names = ("created_at", "last_used_at", "expires_at")
    created, used, expires = (datetime.fromisoformat(newest.pop(name)) for name in names)
    assert newest == {
        "public_id": session_id(login.tokens),
        "current": False,
        "address": ADDRESS,
        "user_agent": BROWSER,
    }
    assert before <= min(created, used) <= max(created, used) <= datetime.now(UTC)
    assert expires - used == timedelta(days=14)
    assert (first["public_id"], first["current"]) == (session_id(account.tokens), True)


async def test_a_refresh_updates_time_address_and_user_agent(
    api: Api, account: Account, browser: Api
) -> None:
    """SE1: so that the owner notices a session that somebody else continues."""
    [before] = await list_sessions(api, account)
    await rotated(browser, account.refresh_token)
    [after] = await list_sessions(api, account)

    assert (after["address"], after["user_agent"]) == (ADDRESS, BROWSER)
    assert after["last_used_at"] > before["last_used_at"]
    assert after["created_at"] == before["created_at"]


async def test_the_most_recently_used_session_is_first(api: Api, account: Account) -> None:
    second = await api.login(account)
    await rotated(api, account.refresh_token)

    listed = [session["public_id"] for session in await list_sessions(api, account)]
    assert listed == [session_id(account.tokens), session_id(second.tokens)]


@pytest.mark.parametrize(
    "ended",
    [
        {"revoked_at": datetime.now(UTC)},
        {"expires_at": datetime.now(UTC)},
        {"idle_expires_at": datetime.now(UTC)},
        {"auth_version": 0},
    ],
    ids=lambda values: next(iter(values)),
)
async def test_ended_sessions_are_not_listed(
    api: Api, account: Account, database: Database, ended: dict[str, Any]
) -> None:
    """SE1: revoked, expired, idle, or ended with all others."""
    await change_family(database, await api.login(account), **ended)

    listed = [session["public_id"] for session in await list_sessions(api, account)]
    assert listed == [session_id(account.tokens)]


async def test_the_sessions_of_others_are_not_listed(api: Api, account: Account) -> None:
    """SE1."""
    other = await api.register()

    assert len(await list_sessions(api, other)) == 1


async def test_the_list_requires_an_access_token(api: Api) -> None:
    assert_unauthorized(await api.client.get(SESSIONS))


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        (b"\x1b[31mred\x1b[0m\tcar", "[31mred[0mcar"),
        (b"a" * 5000, "a" * 200),
        (b"\xc5land", "\xc5land"),
        ("na\xefve".encode(), "na\xefve"),
        (b" ", None),
        (b"", None),
    ],
    ids=["control characters", "long", "latin-1", "utf-8", "blank", "empty"],
)
async def test_a_user_agent_is_sanitized(
    api: Api, account: Account, sent: bytes, shown: str | None
) -> None:
    """ER4: without control characters, which a terminal would interpret."""
    body = {"email": account.email, "password": account.password}
    await api.client.post("/api/v1/auth/login", json=body, headers=[(b"user-agent", sent)])

    newest, _ = await list_sessions(api, account)
    assert newest["user_agent"] == shown


@pytest.mark.parametrize(
    ("peer", "shown"),
    [("::ffff:203.0.113.7", "203.0.113.7"), ("2001:DB8:0:0::7", "2001:db8::7")],
)
async def test_an_address_is_normalized_in_the_list_and_the_audit_log(
    app: FastAPI, account: Account, database: Database, peer: str, shown: str
) -> None:
    """A dual-stack server sees IPv4 clients as IPv4-mapped IPv6 addresses."""
    async with client_from(peer, app) as client:
        await Api(client, database).login(account)
        newest, _ = await list_sessions(Api(client, database), account)
    async with database.sessions() as session:
        [address] = await session.scalars(
            select(AuditEvent.address).order_by(AuditEvent.id.desc()).limit(1)
        )

    assert newest["address"] == shown
    assert address == shown


async def test_an_address_is_sanitized(app: FastAPI, account: Account) -> None:
    """ER4: a proxy may forward any text of any length from the client."""
    async with client_from(f"\x1b[31m 203.0.113.7\r\n{'x' * 100}", app) as client:
        api = Api(client, app.state.database)
        newest, _ = await list_sessions(api, await api.login(account))

    assert newest["address"] == f"[31m 203.0.113.7{'x' * 48}"


# --- end


async def test_ending_a_session_revokes_its_tokens_only(api: Api, account: Account) -> None:
    """SE1."""
    lost, other = await api.login(account), await api.login(account)

    assert (await end(api, account, session_id(lost.tokens))).status_code == 204

    assert await what_opens(api, lost.tokens) == []
    assert len(await what_opens(api, account.tokens, other.tokens)) == 4


async def test_the_current_session_can_be_ended(api: Api, account: Account) -> None:
    """SE1."""
    assert (await end(api, account, session_id(account.tokens))).status_code == 204

    assert await what_opens(api, account.tokens) == []


async def test_concurrent_requests_end_a_session_once(api: Api, account: Account) -> None:
    lost = session_id((await api.login(account)).tokens)
    answers = await asyncio.gather(*(end(api, account, lost) for _ in range(5)))

    assert sorted(answer.status_code for answer in answers) == [204, 404, 404, 404, 404]


async def test_the_session_of_another_user_is_404(api: Api, account: Account) -> None:
    """SE1, AZ2."""
    for caller in (await api.register(), await api.register_admin()):
        problem(await end(api, caller, session_id(account.tokens)), 404, "not_found")

    assert len(await what_opens(api, account.tokens)) == 2


async def test_ending_the_other_sessions_keeps_the_current_one(api: Api, account: Account) -> None:
    """SE1."""
    others = [await api.login(account) for _ in range(3)]
    somebody = await api.register()

    assert (await end(api, account)).status_code == 204

    assert await what_opens(api, *(other.tokens for other in others)) == []
    assert len(await what_opens(api, account.tokens, somebody.tokens)) == 4


# --- maximum number


@pytest.mark.settings(MAX_SESSIONS_PER_USER=3)
async def test_a_login_over_the_maximum_ends_the_least_recently_used_session(
    api: Api, account: Account
) -> None:
    """SE4: not the oldest one if that is still in use."""
    second, third = await api.login(account), await api.login(account)
    first = await rotated(api, account.refresh_token)
    fourth = await api.login(account)

    assert await what_opens(api, second.tokens) == []
    assert len(await what_opens(api, first, third.tokens, fourth.tokens)) == 6


@pytest.mark.settings(MAX_SESSIONS_PER_USER=2)
async def test_ended_sessions_do_not_count(api: Api, account: Account, database: Database) -> None:
    """SE4."""
    for _ in range(3):
        ended = await api.login(account)
        await change_family(database, ended, idle_expires_at=datetime.now(UTC))
    await api.login(account)

    assert len(await what_opens(api, account.tokens)) == 2


@pytest.mark.settings(MAX_SESSIONS_PER_USER=2)
async def test_logins_of_other_users_end_no_session(api: Api, account: Account) -> None:
    """SE4."""
    for _ in range(3):
        await api.register()

    assert len(await what_opens(api, account.tokens)) == 2


# So many concurrent requests can take long on a busy machine.
@pytest.mark.settings(
    MAX_SESSIONS_PER_USER=10, DATABASE_POOL_TIMEOUT_SECONDS=30, DATABASE_LOCK_TIMEOUT_SECONDS=30
)
async def test_concurrent_logins_do_not_exceed_the_maximum_of_sessions(
    api: Api, account: Account, database: Database
) -> None:
    """SE4."""
    logins = [api.try_login(account.email, account.password) for _ in range(30)]
    statuses = {response.status_code for response in await asyncio.gather(*logins)}

    assert statuses == {200}
    assert await live_sessions(database, account) == 10


# --- recent authentication


async def reauthenticate(api: Api, account: Account, password: str) -> Response:
    body = {"password": password}
    return await api.client.post(REAUTHENTICATE, json=body, headers=account.headers)


async def change_password(api: Api, account: Account) -> Response:
    body = {"current_password": account.password, "new_password": "another good passphrase"}
    return await api.client.post(f"{ME}/change-password", json=body, headers=account.headers)


async def delete_account(api: Api, account: Account) -> Response:
    body = {"password": account.password}
    return await api.client.request("DELETE", ME, json=body, headers=account.headers)


SENSITIVE = pytest.mark.parametrize("change", [change_password, delete_account])


@SENSITIVE
@long_access
async def test_a_sensitive_change_without_recent_authentication_is_refused(
    api: Api, account: Account, change: Any
) -> None:
    """SE3: a stolen or unattended session does not suffice for an account takeover."""
    with time_machine.travel(datetime.now(UTC) + LONG_AGO):
        problem(await change(api, account), 403, "reauthentication_required")
        assert (await api.me(account.access_token)).status_code == 200


@SENSITIVE
@long_access
async def test_a_sensitive_change_is_allowed_after_reauthentication(
    api: Api, account: Account, change: Any
) -> None:
    """SE3."""
    with time_machine.travel(datetime.now(UTC) + LONG_AGO):
        assert (await reauthenticate(api, account, account.password)).status_code == 204
        assert (await change(api, account)).is_success


async def test_a_refresh_is_no_reauthentication(
    api: Api, account: Account, database: Database
) -> None:
    """SE3."""
    await change_family(database, account, authenticated_at=datetime.now(UTC) - LONG_AGO)
    newest = await rotated(api, account.refresh_token)
    body = {"current_password": account.password, "new_password": "another good passphrase"}

    response = await api.client.post(
        f"{ME}/change-password", json=body, headers=bearer(newest["access_token"])
    )

    problem(response, 403, "reauthentication_required")


async def test_a_wrong_password_is_no_reauthentication(
    api: Api, account: Account, database: Database
) -> None:
    """SE3."""
    await change_family(database, account, authenticated_at=datetime.now(UTC) - LONG_AGO)

    problem(await reauthenticate(api, account, "wrong password"), 403, "wrong_password")
    problem(await change_password(api, account), 403, "reauthentication_required")


async def test_reauthentication_does_not_extend_to_another_session(
    api: Api, account: Account, database: Database
) -> None:
    """SE3."""
    other = await api.login(account)
    await change_family(database, account, authenticated_at=datetime.now(UTC) - LONG_AGO)
    await reauthenticate(api, other, account.password)

    problem(await change_password(api, account), 403, "reauthentication_required")


async def test_the_session_started_by_a_password_change_is_recently_authenticated(
    api: Api, account: Account
) -> None:
    tokens = (await change_password(api, account)).json()["data"]
    body = {"password": "another good passphrase"}

    response = await api.client.request(
        "DELETE", ME, json=body, headers=bearer(tokens["access_token"])
    )

    assert response.status_code == 204
