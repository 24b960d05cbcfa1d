"""Where tokens are accepted, as which kind, and until when."""

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from fastapi import FastAPI
from httpx2 import Response

from examples.catalogue.db.session import Database
from examples.catalogue.models.user import User, UserRole
from examples.catalogue.tests.api import Api
from mscr.endpoints.callers import TokenUser
from mscr.http.responses import SuccessResponse, success_response
from mscr.testing.api import PASSWORD, Account, bearer
from mscr.testing.databases import on_sqlite
from mscr.testing.forgery import decode
from mscr.testing.problems import assert_unauthorized, problem
from mscr.testing.table_rows import set_columns
from mscr.testing.tokens import NO_INTERVAL, counted_statements, what_opens
from mscr.tests.auth.conftest import RefuseEach

Ending = Callable[[Api, Account], Coroutine[Any, Any, Response]]


# --- no kind of token works as another


@on_sqlite
@pytest.mark.usefixtures("algorithm")
async def test_no_kind_of_token_works_as_another_with_any_algorithm(
    api: Api, account: Account
) -> None:
    """JW3."""
    cursor = await get_cursor(api, account)

    for token in (account.refresh_token, cursor):
        assert_unauthorized(await api.me(token))
    for token in (account.access_token, cursor):
        assert_unauthorized(await api.refresh(token), "invalid_refresh_token")
    for token in (account.refresh_token, account.access_token):
        problem(await list_items(api, account, cursor=token), 422, "invalid_cursor")


async def test_a_refresh_token_is_no_access_token(api: Api, account: Account) -> None:
    """JW3."""
    assert_unauthorized(await api.me(account.refresh_token))


async def test_an_access_token_is_no_refresh_token(api: Api, account: Account) -> None:
    """JW3."""
    assert_unauthorized(await api.refresh(account.access_token), "invalid_refresh_token")


async def test_an_access_token_cannot_log_out_as_a_refresh_token(
    api: Api, account: Account
) -> None:
    """JW3: logout requires a refresh token."""
    body = {"refresh_token": account.access_token}
    await api.client.post("/api/v1/auth/logout", json=body)

    assert (await api.me(account.access_token)).status_code == 200


async def test_a_cursor_is_no_token(api: Api, account: Account) -> None:
    """JW3."""
    cursor = await get_cursor(api, account)

    assert_unauthorized(await api.me(cursor))
    assert_unauthorized(await api.refresh(cursor), "invalid_refresh_token")


async def test_a_token_is_no_cursor(api: Api, account: Account) -> None:
    """JW3."""
    for token in (account.refresh_token, account.access_token):
        problem(await list_items(api, account, cursor=token), 422, "invalid_cursor")


# --- transport


async def test_a_token_in_the_query_is_refused(api: Api, account: Account) -> None:
    """JW8: URLs end up in logs and browser histories."""
    for name in ("access_token", "token", "authorization", "jwt", "bearer"):
        url = f"/api/v1/users/me?{name}={account.access_token}"
        assert_unauthorized(await api.client.get(url))


async def test_an_access_token_in_a_cookie_is_refused(api: Api, account: Account) -> None:
    """JW8: browsers also send cookies with requests of foreign sites (CSRF)."""
    cookie = {"Cookie": f"access_token={account.access_token}; token={account.access_token}"}

    assert_unauthorized(await api.client.get("/api/v1/users/me", headers=cookie))


async def test_only_a_bearer_header_is_accepted(
    api: Api, account: Account, subtests: pytest.Subtests
) -> None:
    """JW3: another scheme, no scheme, no token, two tokens, and non-ASCII bytes are refused."""
    token = account.access_token
    for value in (
        *("", "Bearer", "Bearer ", token, f"Basic {token}", f"Token {token}", f"Bearer,{token}"),
        *(f"Bearer Bearer {token}", f"Bearer {token} {token}", f"Bearer {token},{token}"),
        *(f"Bearer {token}é", "Bearer é", "Bearer \x7f", f'Bearer "{token}"'),
    ):
        with subtests.test(value[:20]):
            headers = {b"Authorization": value.encode()}
            assert_unauthorized(await api.client.get("/api/v1/users/me", headers=headers))


async def test_a_response_with_tokens_is_no_store(
    api: Api, account: Account, subtests: pytest.Subtests
) -> None:
    """JW8."""
    credentials = {"email": account.email, "password": PASSWORD}
    change = {"current_password": PASSWORD, "new_password": f"new {PASSWORD}"}
    for path, body in {
        "auth/register": credentials | {"email": "new@example.com"},
        "auth/login": credentials,
        "auth/refresh": {"refresh_token": account.refresh_token},
        "users/me/change-password": change,
    }.items():
        with subtests.test(path):
            url = f"/api/v1/{path}"
            response = await api.client.post(url, json=body, headers=account.headers)
            assert "access_token" in response.json()["data"]
            assert response.headers["cache-control"] == "no-store"


# --- revocation


async def log_out(api: Api, account: Account) -> Response:
    body = {"refresh_token": account.refresh_token}
    return await api.client.post("/api/v1/auth/logout", json=body)


async def log_out_everywhere(api: Api, account: Account) -> Response:
    return await api.client.post("/api/v1/auth/logout-all", headers=account.headers)


async def be_deactivated(api: Api, account: Account) -> Response:
    admin = await api.register_admin()
    path = f"/api/v1/users/{account.public_id}/deactivate"
    return await api.client.post(path, headers=admin.headers)


async def delete_the_account(api: Api, account: Account) -> Response:
    body = {"password": account.password}
    return await api.client.request(
        "DELETE", "/api/v1/users/me", json=body, headers=account.headers
    )


async def change_the_password(api: Api, account: Account) -> Response:
    body = {"current_password": account.password, "new_password": "quite another password"}
    path = "/api/v1/users/me/change-password"
    return await api.client.post(path, json=body, headers=account.headers)


async def reuse_a_refresh_token(api: Api, account: Account) -> Response:
    renewed = await api.refresh(account.refresh_token)
    await api.refresh(account.refresh_token)
    return renewed


ENDINGS_EVERYWHERE = (
    log_out_everywhere,
    be_deactivated,
    delete_the_account,
    change_the_password,
)
ENDINGS = (log_out, reuse_a_refresh_token, *ENDINGS_EVERYWHERE)


def step_name(step: Ending) -> str:
    return step.__name__


@NO_INTERVAL
@pytest.mark.parametrize("ending", ENDINGS, ids=step_name)
async def test_both_tokens_are_refused_on_the_next_request_after(
    api: Api, account: Account, ending: Ending
) -> None:
    """JW5: neither the access token, which has not expired, nor the refresh token."""
    assert (await ending(api, account)).is_success

    assert await what_opens(api, account.tokens) == []


@on_sqlite
@pytest.mark.usefixtures("algorithm")
async def test_a_logout_takes_effect_on_the_next_request_with_every_algorithm(
    api: Api, account: Account
) -> None:
    """JW5: its signature is still valid for other services, but this one refuses it."""
    assert (await log_out(api, account)).is_success

    assert await what_opens(api, account.tokens) == []


@pytest.mark.parametrize("ending", ENDINGS_EVERYWHERE, ids=step_name)
async def test_other_sessions_are_refused_too_after(
    api: Api, account: Account, ending: Ending
) -> None:
    """JW5: these actions end all sessions."""
    other = await api.login(account)
    await ending(api, account)

    assert await what_opens(api, other.tokens) == []


async def test_a_revoked_token_is_refused_in_every_spelling(
    api: Api, account: Account, refuse_each: RefuseEach
) -> None:
    """JW7: base64 is malleable: several texts decode to the same bytes."""
    token = account.access_token
    head, _, signature = token.rpartition(".")
    # The last character has spare bits that decoding ignores.
    twin = next(
        f"{signature[:-1]}{c}"
        for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        if c != signature[-1] and decode(f"{signature[:-1]}{c}") == decode(signature)
    )
    padded = f"{token}="
    assert (await api.me(padded)).status_code == 200

    await log_out(api, account)

    await refuse_each({"as it was": token, "padded": padded, "altered": f"{head}.{twin}"})


async def test_a_token_stays_revoked_when_the_user_is_reactivated(
    api: Api, account: Account
) -> None:
    """JW5."""
    admin = await api.register_admin()
    for step in ("deactivate", "activate"):
        path = f"/api/v1/users/{account.public_id}/{step}"
        response = await api.client.post(path, headers=admin.headers)
        assert response.status_code == 200

    assert_unauthorized(await api.me(account.access_token))


@pytest.mark.parametrize("column", [{"is_active": False}, {"is_deleted": True}], ids=str)
async def test_both_tokens_are_refused_after_a_change_in_the_database_by_hand(
    api: Api, account: Account, database: Database, column: dict[str, bool]
) -> None:
    """JW5: an UPDATE by hand, which bypasses the application."""
    await set_columns(database, User, account.public_id, **column)

    assert await what_opens(api, account.tokens) == []


async def test_the_next_request_is_403_after_the_role_was_revoked(
    api: Api, database: Database
) -> None:
    """JW5: the role is read from the database, not from the token."""
    admin = await api.register_admin()
    await set_columns(database, User, admin.public_id, role=UserRole.USER)

    response = await api.client.get("/api/v1/users", headers=admin.headers)

    problem(response, 403, "forbidden")


async def get_cursor(api: Api, account: Account) -> str:
    """Return a cursor: a signed text for another purpose."""
    for _ in range(2):
        await api.create_item(account)
    meta = (await list_items(api, account, limit="1")).json()["meta"]
    return str(meta["next_cursor"])


async def list_items(api: Api, account: Account, **query: str) -> Response:
    headers = bearer(account.access_token)
    return await api.client.get("/api/v1/items/my", params=query, headers=headers)


# --- without the lookup


@pytest.fixture
def whoami(app: FastAPI) -> str:
    """Return the path of a route that trusts the token without a lookup of the session."""

    @app.get("/whoami")
    async def route(user: TokenUser) -> SuccessResponse[str]:
        return success_response(user.sub)

    return "/whoami"


async def test_a_route_without_the_lookup_sends_no_query(
    api: Api, account: Account, database: Database, whoami: str
) -> None:
    """JW5: opt-in, for a route that needs only the claims."""
    with counted_statements(database) as statements:
        response = await api.client.get(whoami, headers=account.headers)

    assert response.json()["data"] == account.public_id
    assert statements == []


async def test_a_route_without_the_lookup_accepts_a_revoked_token_until_it_expires(
    api: Api, account: Account, whoami: str
) -> None:
    """JW5: the documented trade-off."""
    await api.client.post("/api/v1/auth/logout-all", headers=account.headers)

    assert (await api.client.get(whoami, headers=account.headers)).status_code == 200
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=16)):
        assert_unauthorized(await api.client.get(whoami, headers=account.headers))


async def test_a_route_without_the_lookup_refuses_forged_tokens(
    api: Api, whoami: str, account: Account
) -> None:
    """JW1, JW3."""
    for token in ("", "guess", account.access_token[:-8] + "AAAAAAAA", account.refresh_token):
        assert_unauthorized(await api.client.get(whoami, headers=bearer(token)))


@on_sqlite
async def test_two_authorization_headers_are_refused(api: Api) -> None:
    """JW6: a proxy in front may have checked the other one."""
    account = await api.register()
    good = ("Authorization", f"Bearer {account.access_token}")
    for headers in ([good, ("Authorization", "Bearer junk")], [good, good]):
        assert_unauthorized(await api.client.get("/api/v1/users/me", headers=headers))
