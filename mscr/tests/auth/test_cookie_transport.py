"""Refresh tokens in a cookie: the responses that set and clear it, and its attributes."""

import asyncio
import re
from datetime import timedelta

import fastapi
import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response

from examples.catalogue.db.session import Database
from examples.catalogue.tests.api import Api
from mscr.core.security.refresh_token import IssuedTokens
from mscr.endpoints.refresh_transport import Transport
from mscr.models.base import utcnow
from mscr.testing.api import PASSWORD, Account, account_of
from mscr.testing.browser import AUTH, CHANGE_PASSWORD, Browser
from mscr.testing.cookies import ATTRIBUTES, CLEARED, TOKEN, set_cookies, token_set
from mscr.testing.databases import on_sqlite
from mscr.testing.problems import assert_unauthorized, problem
from mscr.testing.tokens import (
    NO_INTERVAL,
    change_family,
    live_sessions,
    session_id,
    writers_waiting,
)

pytestmark = pytest.mark.settings(REFRESH_TOKEN_TRANSPORT="cookie")

EMAIL = "ada@example.com"
NEW_PASSWORD = "battery staple horse"
DAYS_14 = 14 * 24 * 60 * 60
CALLERS = 20


@pytest.fixture
def browser(client: AsyncClient) -> Browser:
    return Browser(client)


@pytest.fixture
async def account(browser: Browser) -> Account:
    return await browser.register(EMAIL)


async def change_password(browser: Browser, account: Account) -> Response:
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    return await browser.request("POST", CHANGE_PASSWORD, json=body, headers=account.headers)


async def log_in_by_form(browser: Browser) -> Response:
    form = {"grant_type": "password", "username": EMAIL, "password": PASSWORD}
    return await browser.request("POST", f"{AUTH}/token", data=form)


async def every_handover(browser: Browser) -> dict[str, Response]:
    """Return the responses of all routes that hand out tokens."""
    body = {"email": EMAIL, "password": PASSWORD}
    registered = await browser.request("POST", f"{AUTH}/register", json=body)
    account = account_of(EMAIL, PASSWORD, registered)
    return {
        "register": registered,
        "login": await browser.login(account),
        "form": await log_in_by_form(browser),
        "refresh": await browser.refresh(),
        "change-password": await change_password(browser, account),
    }


async def test_the_cookie_has_the_attributes_that_protect_it(
    browser: Browser,
) -> None:
    """CK1: the header, byte by byte."""
    for name, response in (await every_handover(browser)).items():
        [header] = set_cookies(response)
        found = TOKEN.fullmatch(header)
        assert found, name
        assert found[2] == ATTRIBUTES.format(DAYS_14), name


async def test_each_response_sets_a_different_token(browser: Browser) -> None:
    """CK1."""
    answers = (await every_handover(browser)).values()

    assert len({token_set(response) for response in answers}) == len(answers)


async def test_no_body_has_the_refresh_token(browser: Browser) -> None:
    """CK2."""
    for name, response in (await every_handover(browser)).items():
        body = response.json()
        data = body if name == "form" else body["data"]
        assert data.keys() == {"access_token", "token_type", "expires_in"}, name
        assert (data["token_type"], data["expires_in"]) == ("bearer", 900)
        assert str(token_set(response)) not in response.text


async def test_the_oauth2_form_returns_only_the_access_token(
    browser: Browser, account: Account
) -> None:
    """CK2: RFC 6749 §5.1, where a refresh token is optional."""
    response = await log_in_by_form(browser)

    assert response.json().keys() == {"access_token", "token_type", "expires_in"}
    assert response.headers["cache-control"] == "no-store"
    headers = {"Authorization": f"Bearer {response.json()['access_token']}"}
    assert (await browser.request("GET", "/api/v1/users/me", headers=headers)).status_code == 200
    assert (await browser.refresh()).status_code == 200


async def test_the_cookie_alone_is_sufficient_to_refresh(
    browser: Browser, account: Account
) -> None:
    """CK1: no body, and no access token."""
    first = browser.token

    for _ in range(3):
        response = await browser.refresh()
        assert response.status_code == 200
        headers = {"Authorization": f"Bearer {response.json()['data']['access_token']}"}
        me = await browser.request("GET", "/api/v1/users/me", headers=headers)
        assert me.json()["data"]["email"] == EMAIL
    assert browser.token != first


async def test_the_cookie_expires_with_the_session(
    browser: Browser, account: Account, database: Database
) -> None:
    """CK1: a refresh near the session's absolute end does not make it two weeks again."""
    await change_family(database, account, expires_at=utcnow() + timedelta(hours=1))

    [header] = set_cookies(await browser.refresh())

    [age] = re.findall(r"Max-Age=(\d+);", header)
    assert 3500 < int(age) <= 3600


async def test_the_cookie_of_a_parallel_refresh_expires_with_the_session(
    browser: Browser, account: Account, database: Database
) -> None:
    """CK1: its Max-Age is computed on another path than that of the request that rotated."""
    other = browser.another()
    await browser.refresh()
    ends_at = utcnow() + timedelta(hours=1)
    await change_family(database, account, answered_at=None, idle_expires_at=ends_at)

    [header] = set_cookies(await other.refresh())

    [age] = re.findall(r"Max-Age=(\d+);", header)
    assert 3500 < int(age) <= 3600
    assert other.token == browser.token


async def test_a_token_in_the_body_is_ignored(browser: Browser, account: Account) -> None:
    """CK2: it can neither refresh nor log out."""
    body = {"refresh_token": browser.token}
    without_cookie = Browser(browser.client)

    refused = await without_cookie.request("POST", f"{AUTH}/refresh", json=body)
    await without_cookie.request("POST", f"{AUTH}/logout", json=body)

    assert_unauthorized(refused, "invalid_refresh_token")
    assert (await browser.refresh()).status_code == 200


@NO_INTERVAL
async def test_replay_ends_the_session_and_changes_no_cookie(
    browser: Browser, account: Account, database: Database
) -> None:
    """CK3, RT2: neither the replay nor the owner's next refresh sets or clears a cookie."""
    thief = browser.another()
    await browser.refresh()

    replayed = await thief.refresh()
    own = await browser.refresh()

    for response in (replayed, own):
        assert_unauthorized(response, "invalid_refresh_token")
        assert set_cookies(response) == []
    assert await live_sessions(database, account) == 0


async def test_tabs_that_refresh_concurrently_get_the_same_cookie(
    browser: Browser, account: Account
) -> None:
    """CK3, RT6: whichever response arrives last, the browser has the newest token."""
    tabs = [browser.another() for _ in range(CALLERS)]

    responses = await asyncio.gather(*[tab.refresh() for tab in tabs])

    assert [response.status_code for response in responses] == [200] * CALLERS
    assert len({token_set(response) for response in responses}) == 1
    assert (await tabs[0].refresh()).status_code == 200


async def test_a_refresh_that_loses_the_race_with_a_logout_sets_no_cookie(
    browser: Browser, account: Account
) -> None:
    """CK3."""
    tabs = [browser.another() for _ in range(CALLERS)]
    calls = [tab.refresh() for tab in tabs]

    ended, *responses = await asyncio.gather(browser.logout(), *calls)

    assert set_cookies(ended) == [CLEARED]
    lost = [await tabs[0].refresh(), *(each for each in responses if each.status_code != 200)]
    assert {response.status_code for response in lost} == {401}
    assert [set_cookies(response) for response in lost] == [[]] * len(lost)


@pytest.mark.settings(REFRESH_TOKEN_TRANSPORT="cookie", DATABASE_LOCK_TIMEOUT_SECONDS=0.1)
async def test_a_refresh_that_fails_in_the_database_sets_no_cookie(
    browser: Browser, account: Account, database: Database
) -> None:
    """CK3: the token was not exchanged, and stays valid."""
    async with writers_waiting(database):
        response = await browser.refresh()

    problem(response, 503, "service_unavailable")
    assert set_cookies(response) == []
    assert (await browser.refresh()).status_code == 200


@pytest.mark.settings(
    REFRESH_TOKEN_TRANSPORT="cookie", RATE_LIMIT_ENABLED=True, REFRESH_RATE_LIMIT_SESSION="2/minute"
)
async def test_a_rate_limited_refresh_sets_no_cookie(browser: Browser, account: Account) -> None:
    """CK3."""
    responses = [await browser.refresh() for _ in range(3)]

    assert [response.status_code for response in responses] == [200, 200, 429]
    assert [len(set_cookies(response)) for response in responses] == [1, 1, 0]


@on_sqlite
async def test_an_error_after_the_cookie_was_set_drops_it(app: FastAPI, browser: Browser) -> None:
    """CK3."""

    @app.post("/fails-late")
    async def fails_late(transport: Transport, response: fastapi.Response) -> None:
        transport.carry(IssuedTokens("a", "b", 900, timedelta(days=1)), response)
        raise RuntimeError

    response = await browser.request("POST", "/fails-late")

    problem(response, 500, "internal_error")
    assert set_cookies(response) == []


@pytest.mark.settings(
    REFRESH_TOKEN_TRANSPORT="cookie", RATE_LIMIT_ENABLED=True, AUTH_RATE_LIMIT_ACCOUNT="1/minute"
)
async def test_a_refused_login_keeps_the_earlier_session(
    browser: Browser, account: Account
) -> None:
    """CK3."""
    body = {"email": EMAIL, "password": "wrong password"}
    refused = [await browser.request("POST", f"{AUTH}/login", json=body) for _ in range(2)]

    assert [response.status_code for response in refused] == [401, 429]
    assert [set_cookies(response) for response in refused] == [[], []]
    assert (await browser.refresh()).status_code == 200


async def test_every_end_of_the_current_session_clears_the_cookie(browser: Browser) -> None:
    """CK6."""
    me = "/api/v1/users/me"
    for number, (method, path, body) in enumerate(
        [
            ("POST", f"{AUTH}/logout", None),
            ("POST", f"{AUTH}/logout-all", None),
            ("DELETE", f"{AUTH}/sessions/{{sid}}", None),
            ("DELETE", me, {"password": PASSWORD}),
        ]
    ):
        account = await browser.register(f"user-{number}@example.com")
        route = path.format(sid=session_id(account.tokens))
        response = await browser.request(method, route, json=body, headers=account.headers)
        assert (response.status_code, response.content) == (204, b""), path
        assert set_cookies(response) == [CLEARED], path


async def test_ending_another_session_keeps_the_cookie(browser: Browser, account: Account) -> None:
    """CK6."""
    other = account_of(EMAIL, PASSWORD, await browser.another().login(account))

    for path in (f"{AUTH}/sessions/{session_id(other.tokens)}", f"{AUTH}/sessions"):
        response = await browser.request("DELETE", path, headers=account.headers)
        assert (response.status_code, set_cookies(response)) == (204, []), path
    assert (await browser.refresh()).status_code == 200


async def test_a_refused_end_of_a_session_clears_no_cookie(
    browser: Browser, account: Account
) -> None:
    """CK6."""
    wrong = {"password": "wrong password"}
    refused = [
        await browser.request("POST", f"{AUTH}/logout-all"),
        await browser.request("DELETE", "/api/v1/users/me", json=wrong, headers=account.headers),
        await browser.request(
            "DELETE", f"{AUTH}/sessions/{account.public_id}", headers=account.headers
        ),
    ]

    assert [response.status_code for response in refused] == [401, 403, 404]
    assert [set_cookies(response) for response in refused] == [[], [], []]


async def test_a_second_logout_or_one_without_a_cookie_is_204(
    browser: Browser, account: Account, database: Database
) -> None:
    """CK6, SE2."""
    responses = [await browser.logout() for _ in range(2)]

    assert [response.status_code for response in responses] == [204, 204]
    assert await live_sessions(database, account) == 0


@pytest.mark.settings(REFRESH_TOKEN_TRANSPORT="body")
async def test_with_tokens_in_bodies_no_cookie_is_set_or_read(
    client: AsyncClient, api: Api
) -> None:
    """CK2: only one transport at a time."""
    account = await api.register()
    browser = Browser(client, token=account.refresh_token)

    ignored = [await browser.refresh(), await browser.logout()]
    ended = await browser.request("POST", f"{AUTH}/logout-all", headers=account.headers)

    assert [response.status_code for response in ignored] == [422, 422]
    assert [set_cookies(response) for response in (*ignored, ended)] == [[], [], []]
    assert set_cookies(await api.try_login(account.email, account.password)) == []
