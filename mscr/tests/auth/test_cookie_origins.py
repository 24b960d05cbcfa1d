"""CSRF: only pages of this server and of CORS_ORIGINS can use the cookie."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient, Response
from structlog.testing import capture_logs

from examples.catalogue.db.session import Database
from mscr.testing.api import PASSWORD, Account
from mscr.testing.browser import AUTH, CHANGE_PASSWORD, Browser
from mscr.testing.cookies import OWN_ORIGIN, cookie, set_cookies
from mscr.testing.databases import on_sqlite
from mscr.testing.problems import assert_unauthorized, problem
from mscr.testing.table_rows import all_rows
from mscr.tests.support.command_line import Cli
from mscr.tests.support.serving import serving

LISTED: Final = "https://app.example.com"
in_cookie = pytest.mark.settings(REFRESH_TOKEN_TRANSPORT="cookie", CORS_ORIGINS=[LISTED])
pytestmark = in_cookie

EMAIL: Final = "ada@example.com"
Headers = Mapping[str, str] | list[tuple[str, str]]

REFUSED: Final[dict[str, Headers]] = {
    "nothing said": {},
    "another site": {"Origin": "https://evil.example"},
    "opaque": {"Origin": "null"},
    "opaque, and the browser says it is ours": {
        "Origin": "null",
        "Sec-Fetch-Site": "same-origin",
    },
    "empty": {"Origin": ""},
    "listed as a beginning": {"Origin": f"{LISTED}.evil.example"},
    "listed as an end": {"Origin": "https://evil-app.example.com"},
    "listed as user information": {"Origin": f"{LISTED}@evil.example"},
    "listed, without TLS": {"Origin": "http://app.example.com"},
    "listed, at another port": {"Origin": f"{LISTED}:8443"},
    "listed, with a dot": {"Origin": f"{LISTED}."},
    "listed, with a path": {"Origin": f"{LISTED}/"},
    "listed, in capitals": {"Origin": LISTED.upper()},
    "a parent of the listed one": {"Origin": "https://example.com"},
    "a neighbour of the listed one": {"Origin": "https://other.example.com"},
    "our host, by another scheme": {"Origin": "https://testserver"},
    "our host, at another port": {"Origin": f"{OWN_ORIGIN}:81"},
    "our host, with a dot": {"Origin": f"{OWN_ORIGIN}."},
    "our host as a beginning": {"Origin": f"{OWN_ORIGIN}.evil.example"},
    "our host without a scheme": {"Origin": "testserver"},
    "two origins": [("Origin", OWN_ORIGIN), ("Origin", "https://evil.example")],
    "two origins in one": {"Origin": f"{LISTED} https://evil.example"},
    "another site, by the browser": {"Sec-Fetch-Site": "cross-site"},
    "a neighbour, by the browser": {"Sec-Fetch-Site": "same-site"},
    "a typed address, by the browser": {"Sec-Fetch-Site": "none"},
    "nonsense, by the browser": {"Sec-Fetch-Site": "same-origin, same-origin"},
    "ours, which the browser denies": {"Origin": OWN_ORIGIN, "Sec-Fetch-Site": "cross-site"},
    "ours, which the browser calls a neighbour's": {
        "Origin": OWN_ORIGIN,
        "Sec-Fetch-Site": "same-site",
    },
    "a header that a form cannot send": {"X-Requested-With": "XMLHttpRequest"},
    "another site that names us elsewhere": {
        "Origin": "https://evil.example",
        "Referer": f"{OWN_ORIGIN}/",
        "X-Forwarded-Host": "evil.example",
        "Forwarded": "host=evil.example;proto=https",
    },
}
TRUSTED: Final[dict[str, Headers]] = {
    "ours": {"Origin": OWN_ORIGIN},
    "ours, and the browser says so": {"Origin": OWN_ORIGIN, "Sec-Fetch-Site": "same-origin"},
    "ours, by the browser alone": {"Sec-Fetch-Site": "same-origin"},
    "listed": {"Origin": LISTED},
    "listed, of the same site": {"Origin": LISTED, "Sec-Fetch-Site": "same-site"},
    "listed, of another site": {"Origin": LISTED, "Sec-Fetch-Site": "cross-site"},
}


@pytest.fixture
def browser(client: AsyncClient) -> Browser:
    return Browser(client)


@pytest.fixture
async def account(browser: Browser) -> Account:
    return await browser.register(EMAIL)


def uses_of_the_cookie(account: Account) -> dict[str, dict[str, Any]]:
    """Return a valid request to each route that reads or sets the cookie; the origin is missing."""
    credentials = {"email": EMAIL, "password": PASSWORD}
    new = {"current_password": PASSWORD, "new_password": "battery staple horse"}
    return {
        f"{AUTH}/register": {"json": {"email": "eve@example.com", "password": PASSWORD}},
        f"{AUTH}/login": {"json": credentials},
        f"{AUTH}/token": {"data": {"username": EMAIL, "password": PASSWORD}},
        f"{AUTH}/refresh": {},
        f"{AUTH}/logout": {},
        CHANGE_PASSWORD: {"json": new, "headers": account.headers},
    }


async def post(
    client: AsyncClient,
    path: str,
    said: Headers,
    *,
    token: str = "",
    headers: Mapping[str, str] | None = None,
    **request: Any,
) -> Response:
    """Send the headers that name the page (`said`), beside other headers and the cookie."""
    pairs = list(said.items()) if isinstance(said, Mapping) else said
    own = {**(headers or {}), **cookie(token)}
    return await client.post(path, headers=[*pairs, *own.items()], **request)


async def test_untrusted_origins_can_neither_use_nor_set_the_cookie(
    browser: Browser, account: Account, database: Database, subtests: pytest.Subtests
) -> None:
    """CK4: no token is exchanged or revoked, and no row is created."""
    before = await all_rows(database)

    for name, headers in REFUSED.items():
        for path, request in uses_of_the_cookie(account).items():
            with subtests.test(name, path=path):
                response = await post(browser.client, path, headers, token=browser.token, **request)
                body = problem(response, 403, "untrusted_origin")
                assert set_cookies(response) == []
                assert "evil" not in repr(body)

    assert await all_rows(database) == before
    assert (await browser.refresh()).status_code == 200


async def test_our_own_and_listed_origins_can_use_the_cookie(
    browser: Browser, account: Account, subtests: pytest.Subtests
) -> None:
    """CK4."""
    for name, headers in TRUSTED.items():
        with subtests.test(name):
            body = {"email": EMAIL, "password": PASSWORD}
            login = await post(browser.client, f"{AUTH}/login", headers, json=body)
            assert login.status_code == 200
            browser.token = set_cookies(login)[0].partition(";")[0].partition("=")[2]
            for path, status in ((f"{AUTH}/refresh", 200), (f"{AUTH}/logout", 204)):
                response = await post(browser.client, path, headers, token=browser.token)
                assert response.status_code == status
                assert len(set_cookies(response)) == 1


@on_sqlite
async def test_an_untrusted_origin_is_refused_before_the_token_is_read(
    browser: Browser, account: Account
) -> None:
    """CK4: garbage and replay get the same response as a valid token."""
    replayed = browser.token
    await browser.refresh()

    for token in (replayed, "garbage", ""):
        headers = {"Origin": "https://evil.example"}
        response = await post(browser.client, f"{AUTH}/refresh", headers, token=token)
        problem(response, 403, "untrusted_origin")
    assert (await browser.refresh()).status_code == 200


@on_sqlite
async def test_routes_with_an_access_token_require_no_origin(
    browser: Browser, account: Account
) -> None:
    """No foreign page can make a browser add that header. Other clients send no origin."""
    for method, path in (("GET", "/api/v1/users/me"), ("POST", f"{AUTH}/logout-all")):
        response = await browser.client.request(method, path, headers=account.headers)
        assert response.is_success


@on_sqlite
@pytest.mark.settings(REFRESH_TOKEN_TRANSPORT="body", CORS_ORIGINS=[LISTED])
async def test_the_origin_is_not_checked_with_tokens_in_bodies(client: AsyncClient) -> None:
    for headers in REFUSED.values():
        body = {"email": "nobody@example.com", "password": PASSWORD}
        response = await post(client, f"{AUTH}/login", headers, json=body)
        assert_unauthorized(response, "invalid_credentials")


@on_sqlite
async def test_our_host_with_another_scheme_is_untrusted(app: FastAPI) -> None:
    """CK4: a man in the middle may have written a page that came without TLS."""
    transport = ASGITransport(app=app)
    async with AsyncClient(transport=transport, base_url="https://testserver") as client:
        downgraded = await post(client, f"{AUTH}/logout", {"Origin": "http://testserver"})
        own = await post(client, f"{AUTH}/logout", {"Origin": "https://testserver"})

    problem(downgraded, 403, "untrusted_origin")
    assert own.status_code == 204


@on_sqlite
@pytest.mark.settings(REFRESH_TOKEN_TRANSPORT="cookie", ALLOWED_HOSTS=["testserver"])
async def test_an_unknown_host_is_untrusted(client: AsyncClient) -> None:
    """CK4: DNS rebinding, a foreign name that resolves to this server."""
    rebound = {"Host": "evil.example", "Origin": "http://evil.example"}

    problem(await post(client, f"{AUTH}/refresh", rebound), 400, "untrusted_host")


@on_sqlite
async def test_a_refusal_is_logged_with_both_origins(client: AsyncClient) -> None:
    """The response does not reveal it; an operator needs it to find a proxy that is not trusted."""
    with capture_logs() as events:
        await post(client, f"{AUTH}/logout", {"Origin": "https://evil.example"})

    [event] = [event for event in events if event["event"] == "untrusted_origin"]
    assert (event["origin"], event["own"]) == ("https://evil.example", OWN_ORIGIN)


def test_the_scheme_is_taken_from_a_trusted_proxy_only(
    tmp_path: Path, sqlite_template: Path
) -> None:
    """CK4: behind any other proxy it is the scheme of the connection to this server."""
    cli = Cli.migrated(tmp_path, sqlite_template)
    statuses = {}
    for proxies in ("127.0.0.1", ""):
        with serving(cli, REFRESH_TOKEN_TRANSPORT="cookie", TRUSTED_PROXIES=proxies) as server:
            for scheme in ("https", "http"):
                origin = server.url.replace("http", scheme)
                headers = {"Origin": origin, "X-Forwarded-Proto": "https"}
                url = f"{server.url}{AUTH}/logout"
                answer = httpx2.post(url, headers=headers, trust_env=False)
                statuses[proxies, scheme] = answer.status_code

    assert statuses == {
        ("127.0.0.1", "https"): 204,
        ("127.0.0.1", "http"): 403,
        ("", "https"): 403,
        ("", "http"): 204,
    }


PREFLIGHT: Final = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "content-type",
}


@on_sqlite
async def test_a_listed_origin_may_send_the_cookie(client: AsyncClient) -> None:
    """CK4, HD2."""
    for method in ("OPTIONS", "POST"):
        headers = {"Origin": LISTED} | PREFLIGHT
        response = await client.request(method, f"{AUTH}/refresh", headers=headers)
        assert response.headers["access-control-allow-origin"] == LISTED
        assert response.headers["access-control-allow-credentials"] == "true"
        assert "origin" in response.headers["vary"].lower()


@on_sqlite
async def test_no_other_origin_can_read_a_response(client: AsyncClient) -> None:
    """CK4, HD2: without this header, browsers ignore Access-Control-Allow-Credentials."""
    for name, said in REFUSED.items():
        headers = (list(said.items()) if isinstance(said, Mapping) else said) + [*PREFLIGHT.items()]
        for method in ("OPTIONS", "POST"):
            response = await client.request(method, f"{AUTH}/refresh", headers=headers)
            assert "access-control-allow-origin" not in response.headers, name


@on_sqlite
@pytest.mark.parametrize("host", ["testserver:80", "TESTSERVER", "testserver:"])
async def test_our_own_origin_is_recognized_in_every_spelling_of_the_host(
    client: AsyncClient, host: str
) -> None:
    """CK4: `proxy_set_header Host $host:$server_port` adds a port that browsers leave out."""
    response = await post(client, f"{AUTH}/logout", {"Host": host, "Origin": "http://testserver"})
    assert response.status_code == 204
