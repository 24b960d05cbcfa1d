"""Reading the refresh token's cookie: exact name, and exactly one of that name."""

import pytest
from httpx2 import AsyncClient, Response
from structlog.testing import capture_logs

from mscr.testing.api import Account
from mscr.testing.browser import AUTH, Browser
from mscr.testing.cookies import NAME, OWN_ORIGIN, set_cookies
from mscr.testing.problems import assert_unauthorized

pytestmark = pytest.mark.settings(REFRESH_TOKEN_TRANSPORT="cookie")


@pytest.fixture
def browser(client: AsyncClient) -> Browser:
    return Browser(client)


@pytest.fixture
async def account(browser: Browser) -> Account:
    return await browser.register("ada@example.com")


async def send(client: AsyncClient, route: str, *cookies: bytes) -> Response:
    """Send each of these as a Cookie header, in raw bytes as a browser may send them."""
    headers = [(b"origin", OWN_ORIGIN.encode()), *((b"cookie", each) for each in cookies)]
    return await client.post(f"{AUTH}/{route}", headers=headers)


async def test_the_cookie_is_found_among_others(browser: Browser, account: Account) -> None:
    """CK5: also in a second Cookie header, which HTTP/2 allows (RFC 9113 §8.2.3)."""
    for before, after in ((b"theme=dark; ", b""), (b"", b";a=b=c"), (b"a;\t ", b" \t; =x; ;")):
        cookies = before + f"{NAME}={browser.token}".encode() + after
        response = await send(browser.client, "refresh", b"first=1", cookies)
        assert response.status_code == 200, cookies
        browser.token = set_cookies(response)[0].partition(";")[0].partition("=")[2]


async def test_anything_but_one_valid_cookie_is_401(
    browser: Browser, account: Account, subtests: pytest.Subtests
) -> None:
    """CK5: none of these ends a session."""
    name, token = NAME.encode(), browser.token.encode()
    good = name + b"=" + token
    for what, cookies in {
        "none": [],
        "empty header": [b""],
        "empty": [name + b"="],
        "no value": [name],
        "garbage": [name + b"=garbage"],
        "not ASCII": [name + b"=\xc3\xa9\xff\x00"],
        "quoted": [name + b'="' + token + b'"'],
        "padded": [good + b"=="],
        "percent-encoded": [name + b"=%41" + token[1:]],
        "60,000 bytes": [name + b"=" + b"A" * 60_000],
        "7,000 cookies": [b";".join(b"c%d=x" % number for number in range(7000))],
        "twice the same": [good + b"; " + good],
        "twice in two headers": [good, good],
        "and an empty one": [good + b"; " + name + b"="],
        "and garbage first": [name + b"=garbage; " + good],
        "another case": [good.replace(b"__Host", b"__HOST")],
        "without the prefix": [b"refresh_token=" + token],
        "another prefix": [good.replace(b"__Host", b"__Secure")],
        "nameless": [b"=" + good],
        "a space before the =": [name + b" =" + token],
    }.items():
        with subtests.test(what):
            response = await send(browser.client, "refresh", *cookies)
            assert_unauthorized(response, "invalid_refresh_token")
            assert set_cookies(response) == []

    assert (await browser.refresh()).status_code == 200


async def test_a_name_with_leading_white_space_is_another_cookie(
    browser: Browser, account: Account, subtests: pytest.Subtests
) -> None:
    """CK5: white space hides the `__Host-` prefix from browsers, so servers must not strip it."""
    other = Browser(browser.client)
    await other.register("eve@example.com")
    for space in (
        b"\xa0",
        b"\x85",
        b"\x1f",
        b"\x0c",
        b"\xe2\x80\x80",
        b"\xc2\xa0",
        b"\xef\xbb\xbf",
    ):
        with subtests.test(repr(space)):
            forged = space + f"{NAME}={other.token}".encode()
            assert_unauthorized(
                await send(browser.client, "refresh", forged), "invalid_refresh_token"
            )
            own = f"{NAME}={browser.token}".encode()
            response = await send(browser.client, "refresh", forged + b"; " + own)
            assert response.status_code == 200
            browser.token = set_cookies(response)[0].partition(";")[0].partition("=")[2]

    assert (await other.refresh()).status_code == 200


async def test_a_logout_with_two_cookies_is_401(browser: Browser, account: Account) -> None:
    """CK5: it is unclear which session was meant."""
    own = f"{NAME}={browser.token}".encode()
    with capture_logs() as events:
        response = await send(browser.client, "logout", own, NAME.encode() + b"=garbage")

    assert_unauthorized(response, "invalid_refresh_token")
    assert set_cookies(response) == []
    assert [event["reason"] for event in events if "reason" in event] == ["several_cookies"]
    assert (await browser.refresh()).status_code == 200


async def test_a_logout_with_garbage_is_204_and_ends_no_session(
    browser: Browser, account: Account
) -> None:
    """CK5, SE2."""
    for value in (b"", b"garbage", b"\xff", b"A" * 60_000):
        response = await send(browser.client, "logout", NAME.encode() + b"=" + value)
        assert response.status_code == 204

    assert (await browser.refresh()).status_code == 200
