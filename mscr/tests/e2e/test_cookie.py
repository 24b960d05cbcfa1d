"""The refresh token cookie in a real browser: which pages can read, send or change it."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from mscr.tests.e2e.conftest import Site
from mscr.tests.e2e.pages import Answer, fetch, submit
from mscr.tests.e2e.webdriver import Browser

NAME: Final = "__Host-refresh_token"
AUTH: Final = "/api/v1/auth"
JSON: Final = {"Content-Type": "application/json"}
CREDENTIALS: Final = {"email": "ada@example.com", "password": "seven wet umbrellas"}
EVIL_CREDENTIALS: Final = {"email": "eve@example.com", "password": "seven dry umbrellas"}


def post_json(browser: Browser, url: str, body: dict[str, str], **options: Any) -> Answer:
    return fetch(browser, url, headers=JSON, body=json.dumps(body), **options)


def refresh(browser: Browser, site: Site) -> Answer:
    return fetch(browser, f"{site.api.url}{AUTH}/refresh")


def token(browser: Browser, site: Site) -> str | None:
    """Return the cookie that the browser would send, read in a separate tab."""
    before = browser.tab
    browser.new_tab(f"{site.api.url}/health/live")
    cookie = browser.cookies().get(NAME)
    browser.close_tab()
    browser.switch_to(before)
    return None if cookie is None else str(cookie["value"])


@pytest.fixture
def logged_in(browser: Browser, site: Site) -> Browser:
    """Return a browser logged in by script on the listed page. Eve, an attacker, has an account."""
    register = f"{site.api.url}{AUTH}/register"
    httpx2.post(register, json=EVIL_CREDENTIALS, headers={"Origin": site.page}, trust_env=False)
    browser.open(site.page)
    assert post_json(browser, register, CREDENTIALS).status == 201
    assert post_json(browser, f"{site.api.url}{AUTH}/login", CREDENTIALS).status == 200
    return browser


def test_no_script_can_read_the_token(logged_in: Browser, site: Site) -> None:
    """CK1, CK2: neither a script of the page nor one of the API's origin, in bodies or cookies."""
    answer = post_json(logged_in, f"{site.api.url}{AUTH}/login", CREDENTIALS)
    assert json.loads(answer.text)["data"].keys() == {"access_token", "token_type", "expires_in"}
    for page in (site.page, f"{site.api.url}/health/live"):
        logged_in.open(page)
        assert logged_in.run("return document.cookie") == ""

    cookie = logged_in.cookies()[NAME]
    assert cookie["value"] not in answer.text
    facts = {name: cookie[name] for name in ("domain", "path", "secure", "httpOnly", "sameSite")}
    assert facts == {
        "domain": "localhost",
        "path": "/",
        "secure": True,
        "httpOnly": True,
        "sameSite": "Strict",
    }


def test_a_page_refreshes_with_only_the_cookie(logged_in: Browser, site: Site) -> None:
    """CK1: the new access tokens work."""
    tokens = [token(logged_in, site)]
    for _ in range(3):
        answer = refresh(logged_in, site)
        assert answer.status == 200
        tokens.append(token(logged_in, site))
        access_token = json.loads(answer.text)["data"]["access_token"]
        me = fetch(
            logged_in,
            f"{site.api.url}/api/v1/users/me",
            method="GET",
            headers={"Authorization": f"Bearer {access_token}"},
        )
        assert json.loads(me.text)["data"]["email"] == CREDENTIALS["email"]

    assert len(set(tokens)) == 4


@contextmanager
def held_back(database: Path) -> Iterator[None]:
    """Block rotations by a write lock during the block, and release all of them at its end."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def test_two_tabs_that_refresh_concurrently_both_stay_logged_in(
    logged_in: Browser, site: Site
) -> None:
    """RT6, CK3: neither tab is logged out, and neither overwrites the other's cookie."""
    url = f"{site.api.url}{AUTH}/refresh"
    tabs = [logged_in.tab, logged_in.new_tab(site.page)]

    with held_back(site.database):
        for tab in tabs:
            logged_in.switch_to(tab)
            logged_in.run(
                "window.outcome = fetch(arguments[0], {method: 'POST', credentials: 'include'})"
                ".then((response) => response.status); return null",
                url,
            )
        logged_in.wait_until_sent(url, 2)
        # The event loop that handles this request has already read the two before it.
        httpx2.get(f"{site.api.url}/health/live", trust_env=False)

    for tab in tabs:
        logged_in.switch_to(tab)
        assert logged_in.run("return window.outcome") == 200
    for tab in tabs:
        logged_in.switch_to(tab)
        assert refresh(logged_in, site).status == 200


def attack_by_script(browser: Browser, site: Site, path: str, mode: str, **body: str) -> None:
    """Send a request that needs no preflight (CSRF). The browser must withhold the response."""
    form = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
    fields = "&".join(f"{name}={value}" for name, value in body.items()) or None
    answer = fetch(browser, f"{site.api.url}{path}", mode=mode, headers=form, body=fields)
    assert answer.status == 0


@pytest.mark.parametrize("origin", ["neighbour", "stranger"])
def test_an_unlisted_origin_can_neither_refresh_nor_log_in_nor_log_out(
    logged_in: Browser, site: Site, origin: str
) -> None:
    """CK4: even though requests of the same-site neighbour carry the cookie."""
    own = token(logged_in, site)
    evil = {"username": EVIL_CREDENTIALS["email"], "password": EVIL_CREDENTIALS["password"]}
    evil["grant_type"] = "password"
    attacks = {f"{AUTH}/refresh": {}, f"{AUTH}/logout": {}, f"{AUTH}/token": evil}

    logged_in.open(getattr(site, origin))
    for path, fields in attacks.items():
        for mode in ("cors", "no-cors"):
            attack_by_script(logged_in, site, path, mode, **fields)
        logged_in.open(getattr(site, origin))
        submit(logged_in, f"{site.api.url}{path}", **fields)
        assert "untrusted_origin" in logged_in.find("//body[contains(., 'success')]").text
        logged_in.open(getattr(site, origin))

    # Two requests by script and one by form.
    assert [site.api.answered(path, 403) for path in attacks] == [3, 3, 3]
    assert token(logged_in, site) == own
    logged_in.open(site.page)
    assert refresh(logged_in, site).status == 200


def test_a_sandboxed_frame_of_the_listed_page_is_refused(logged_in: Browser, site: Site) -> None:
    """CK4: its origin is `null`, which any page can have."""
    own = token(logged_in, site)
    frame = f"""
        const frame = document.createElement("iframe");
        frame.sandbox = "allow-scripts";
        frame.srcdoc = `<script>
            fetch("{site.api.url}{AUTH}/logout", {{method: "POST", mode: "no-cors",
            credentials: "include"}});
        </script>`;
        document.body.append(frame);
    """
    logged_in.run(frame)

    site.api.wait_until(lambda: site.api.answered(f"{AUTH}/logout", 403) == 1)
    assert token(logged_in, site) == own
    assert refresh(logged_in, site).status == 200


def test_logging_out_deletes_the_cookie(logged_in: Browser, site: Site) -> None:
    """CK6."""
    assert fetch(logged_in, f"{site.api.url}{AUTH}/logout").status == 204

    assert token(logged_in, site) is None
    assert refresh(logged_in, site).status == 401


def test_a_failed_refresh_keeps_the_cookie(logged_in: Browser, site: Site) -> None:
    """CK3: a thief has replayed an earlier token, which ended the session."""
    stolen = token(logged_in, site)
    assert refresh(logged_in, site).status == 200
    # Refresh twice: the token before the last is never within the reuse interval.
    assert refresh(logged_in, site).status == 200
    own = token(logged_in, site)
    thief = {"Origin": site.page, "Cookie": f"{NAME}={stolen}"}
    httpx2.post(f"{site.api.url}{AUTH}/refresh", headers=thief, trust_env=False)

    assert refresh(logged_in, site).status == 401
    assert token(logged_in, site) == own
    assert own != stolen


@pytest.mark.parametrize("transport", ["body"])
def test_with_tokens_in_bodies_no_cookie_is_set(browser: Browser, site: Site) -> None:
    """CK2: the page gets the token in the body and stores it as it likes."""
    browser.open(site.page)
    registered = post_json(
        browser, f"{site.api.url}{AUTH}/register", CREDENTIALS, credentials="omit"
    )
    body = {"refresh_token": json.loads(registered.text)["data"]["refresh_token"]}

    assert (
        post_json(browser, f"{site.api.url}{AUTH}/refresh", body, credentials="omit").status == 200
    )
    # The browser withholds the response to a cross-origin request with credentials.
    assert post_json(browser, f"{site.api.url}{AUTH}/login", CREDENTIALS).status == 0
    assert token(browser, site) is None
