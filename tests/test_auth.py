"""Register, log in, refresh, log out, and change the password."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from httpx2 import AsyncClient, Response

from app.core.config import Settings
from app.db.session import Database
from mscr.testing.api import PASSWORD, Account
from mscr.testing.browser import Browser
from mscr.testing.cookies import CLEARED, set_cookies
from mscr.testing.problems import assert_unauthorized, faulty_fields, problem
from mscr.testing.tokens import NO_INTERVAL, change_family, rotated
from tests.api import Api

AUTH = "/api/v1/auth"
NEW_PASSWORD = "quite another password"
PUBLIC_ID = "01a2314b-0494-7339-9e26-5da76f16aa7c"


async def register(api: Api, **fields: Any) -> Response:
    path, body = api.registration("ada@example.com", PASSWORD)
    return await api.client.post(path, json={**body, **fields})


async def change_password(api: Api, account: Account, current: str = PASSWORD) -> Response:
    body = {"current_password": current, "new_password": NEW_PASSWORD}
    return await api.client.post(
        "/api/v1/users/me/change-password", json=body, headers=account.headers
    )


# --- registration


async def test_a_registration_logs_in_and_stores_every_field(api: Api) -> None:
    registered = await register(api, full_name="Ada Lovelace")

    me = (await api.me(registered.json()["data"]["access_token"])).json()["data"]
    assert registered.status_code == 201
    assert (me["email"], me["full_name"], me["role"], me["is_active"]) == (
        "ada@example.com",
        "Ada Lovelace",
        "user",
        True,
    )


async def test_a_taken_address_is_refused_in_any_spelling(api: Api) -> None:
    await register(api)

    problem(await register(api, email=" ADA@Example.com"), 409, "email_taken")


@pytest.mark.parametrize(
    ("field", "value"), [("role", "admin"), ("is_active", True), ("public_id", PUBLIC_ID)]
)
async def test_nobody_chooses_more_than_the_fields_of_a_registration(
    api: Api, field: str, value: Any
) -> None:
    assert faulty_fields(await register(api, **{field: value})) == [["body", field]]


@pytest.mark.parametrize("password", ["short", "password1", "adalovelace!", "ada@example.com"])
async def test_a_password_that_is_easy_to_guess_is_refused(api: Api, password: str) -> None:
    refused = await register(api, password=password, full_name="Ada Lovelace")

    assert faulty_fields(refused) == [["body", "password"]]


# --- log in


async def test_login_success(api: Api, settings: Settings) -> None:
    account = await api.register("ada@example.com")

    response = await api.try_login("ada@example.com", PASSWORD)

    tokens = response.json()["data"]
    assert response.status_code == 200
    lifetime = settings.access_token_lifetime.total_seconds()
    assert (tokens["token_type"], tokens["expires_in"]) == ("bearer", lifetime)
    me = await api.me(tokens["access_token"])
    assert me.json()["data"]["public_id"] == account.public_id


async def test_only_the_right_password_logs_in(api: Api) -> None:
    account = await api.register()

    right = await api.try_login(account.email, PASSWORD)
    wrong = await api.try_login(account.email, "not the password")

    assert (await api.me(right.json()["data"]["access_token"])).status_code == 200
    assert_unauthorized(wrong, "invalid_credentials")


async def test_a_refused_login_does_not_reveal_whether_the_account_exists(api: Api) -> None:
    account = await api.register()
    api.client.headers["X-Request-ID"] = "the-same-for-both"

    wrong = await api.try_login(account.email, "not the password")
    unknown = await api.try_login("nobody@example.com", PASSWORD)

    assert (wrong.status_code, wrong.content) == (unknown.status_code, unknown.content)


@pytest.mark.settings(RATE_LIMIT_ENABLED=True, AUTH_RATE_LIMIT_ACCOUNT="2/minute")
async def test_guessing_passwords_is_slowed_down(api: Api) -> None:
    account = await api.register()
    for _ in range(2):
        await api.try_login(account.email, "a guess")

    problem(await api.try_login(account.email, PASSWORD), 429, "too_many_requests")


async def test_the_form_of_the_documentation_logs_in(api: Api) -> None:
    account = await api.register()
    form = {"grant_type": "password", "username": account.email, "password": PASSWORD}

    response = await api.client.post(f"{AUTH}/token", data=form)

    assert (await api.me(response.json()["access_token"])).status_code == 200


# --- refresh


async def test_a_refresh_keeps_the_session_and_exchanges_both_tokens(api: Api) -> None:
    account = await api.register()

    tokens = await rotated(api, account.refresh_token)

    assert tokens["refresh_token"] != account.refresh_token
    assert (await api.me(tokens["access_token"])).status_code == 200


@NO_INTERVAL
async def test_a_stolen_refresh_token_ends_the_session(api: Api) -> None:
    account = await api.register()
    tokens = await rotated(api, account.refresh_token)

    assert_unauthorized(await api.refresh(account.refresh_token), "invalid_refresh_token")

    assert_unauthorized(await api.refresh(tokens["refresh_token"]), "invalid_refresh_token")
    assert_unauthorized(await api.me(tokens["access_token"]))


# --- log out


async def test_logging_out_ends_one_session(api: Api) -> None:
    account = await api.register()
    other = await api.login(account)

    body = {"refresh_token": account.refresh_token}
    ended = await api.client.post(f"{AUTH}/logout", json=body)

    assert ended.status_code == 204
    assert_unauthorized(await api.me(account.access_token))
    assert_unauthorized(await api.refresh(account.refresh_token), "invalid_refresh_token")
    assert (await api.me(other.access_token)).status_code == 200


async def test_logging_out_everywhere_ends_every_session(api: Api) -> None:
    account = await api.register()
    other = await api.login(account)

    ended = await api.client.post(f"{AUTH}/logout-all", headers=account.headers)

    assert ended.status_code == 204
    for session in (account, other):
        assert_unauthorized(await api.me(session.access_token))
        assert_unauthorized(await api.refresh(session.refresh_token), "invalid_refresh_token")


async def test_a_user_sees_and_ends_the_session_of_a_lost_device(api: Api) -> None:
    account = await api.register()
    lost = await api.login(account)
    sessions = f"{AUTH}/sessions"

    listed = await api.client.get(sessions, headers=account.headers)
    [found] = [one["public_id"] for one in listed.json()["data"] if not one["current"]]
    ended = await api.client.delete(f"{sessions}/{found}", headers=account.headers)

    assert ended.status_code == 204
    assert_unauthorized(await api.me(lost.access_token))
    assert (await api.me(account.access_token)).status_code == 200


# --- the password


async def test_a_changed_password_ends_the_other_sessions(api: Api) -> None:
    account = await api.register()
    other = await api.login(account)

    tokens = (await change_password(api, account)).json()["data"]

    assert (await api.me(tokens["access_token"])).status_code == 200
    assert_unauthorized(await api.me(other.access_token))
    assert_unauthorized(await api.try_login(account.email, PASSWORD), "invalid_credentials")
    assert (await api.try_login(account.email, NEW_PASSWORD)).status_code == 200


async def test_a_password_is_changed_only_with_the_current_one(api: Api) -> None:
    account = await api.register()

    problem(await change_password(api, account, "a guess"), 403, "wrong_password")

    assert (await api.try_login(account.email, PASSWORD)).status_code == 200


async def test_a_sensitive_change_needs_a_recent_proof_of_the_password(
    api: Api, database: Database
) -> None:
    account = await api.register()
    yesterday = datetime.now(UTC) - timedelta(days=1)
    await change_family(database, account, authenticated_at=yesterday)

    problem(await change_password(api, account), 403, "reauthentication_required")

    body = {"password": PASSWORD}
    proved = await api.client.post(f"{AUTH}/reauthenticate", json=body, headers=account.headers)
    assert proved.status_code == 204
    assert (await change_password(api, account)).status_code == 200


# --- refresh tokens in a cookie


@pytest.mark.settings(REFRESH_TOKEN_TRANSPORT="cookie")
async def test_a_browser_keeps_its_refresh_token_in_a_cookie(client: AsyncClient) -> None:
    browser = Browser(client, api=Api)
    account = await browser.register("ada@example.com")

    refreshed = await browser.refresh()
    assert refreshed.status_code == 200
    assert "refresh_token" not in refreshed.json()["data"]
    assert (await browser.login(account)).status_code == 200

    assert CLEARED in set_cookies(await browser.logout())
    assert_unauthorized(await browser.refresh(), "invalid_refresh_token")


@pytest.mark.settings(REFRESH_TOKEN_TRANSPORT="cookie")
async def test_a_page_of_another_origin_cannot_use_the_cookie(client: AsyncClient) -> None:
    browser = Browser(client, api=Api)
    await browser.register("ada@example.com")

    foreign = {"Origin": "https://evil.example"}
    problem(
        await browser.request("POST", f"{AUTH}/refresh", headers=foreign), 403, "untrusted_origin"
    )
