"""Which cookie is the refresh token: the one of this exact name, if there is just one."""

import pytest
from httpx2 import AsyncClient, Response
from structlog.testing import capture_logs

from tests.support.api import Account
from tests.support.browser import AUTH, Browser
from tests.support.cookies import NAME, OWN_ORIGIN, set_cookies
from tests.support.problems import assert_unauthorized

pytestmark = pytest.mark.settings(REFRESH_TOKEN_TRANSPORT="cookie")


@pytest.fixture
def browser(client: AsyncClient) -> Browser:
    return Browser(client)


@pytest.fixture
async def account(browser: Browser) -> Account:
    return await browser.register("ada@example.com")


async def send(client: AsyncClient, route: str, *cookies: bytes) -> Response:
    """With these headers, as bytes: a browser sends what a server once set."""
    headers = [(b"origin", OWN_ORIGIN.encode()), *((b"cookie", each) for each in cookies)]
    return await client.post(f"{AUTH}/{route}", headers=headers)


async def test_the_cookie_is_found_among_others(browser: Browser, account: Account) -> None:
    """CK5: also in a second header, as HTTP/2 has them."""
    for before, after in ((b"theme=dark; ", b""), (b"", b";a=b=c"), (b"a;\t ", b" \t; =x; ;")):
        cookies = before + f"{NAME}={browser.token}".encode() + after
        response = await send(browser.client, "refresh", b"first=1", cookies)
        assert response.status_code == 200, cookies
        browser.token = set_cookies(response)[0].partition(";")[0].partition("=")[2]


async def test_anything_but_the_one_token_is_401(
    browser: Browser, account: Account, subtests: pytest.Subtests
) -> None:
    """CK5: and ends nobody's session."""
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


async def test_a_name_that_browsers_let_neighbours_use_is_another_name(
    browser: Browser, account: Account, subtests: pytest.Subtests
) -> None:
    """CK5: white space in front hides the prefix from the browser, and must not from us."""
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


async def test_a_logout_with_two_cookies_does_not_say_that_it_is_done(
    browser: Browser, account: Account
) -> None:
    """CK5: nobody can tell which session was meant."""
    own = f"{NAME}={browser.token}".encode()
    with capture_logs() as events:
        response = await send(browser.client, "logout", own, NAME.encode() + b"=garbage")

    assert_unauthorized(response, "invalid_refresh_token")
    assert set_cookies(response) == []
    assert [event["reason"] for event in events if "reason" in event] == ["several_cookies"]
    assert (await browser.refresh()).status_code == 200


async def test_a_logout_with_garbage_is_no_error_and_ends_nothing(
    browser: Browser, account: Account
) -> None:
    """CK5, SE2."""
    for value in (b"", b"garbage", b"\xff", b"A" * 60_000):
        response = await send(browser.client, "logout", NAME.encode() + b"=" + value)
        assert response.status_code == 204

    assert (await browser.refresh()).status_code == 200
