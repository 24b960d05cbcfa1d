"""The documentation pages in a browser: they render, log in, and load nothing from other hosts."""

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

import httpx2
import pytest

from mscr.tests.e2e.conftest import Site
from mscr.tests.e2e.webdriver import Browser

CREDENTIALS: Final = {"email": "ada@example.com", "password": "seven wet umbrellas"}
LOCAL: Final = {"data", "blob"}

either_transport = pytest.mark.parametrize("transport", ["body", "cookie"])


@pytest.fixture(autouse=True)
def clean(browser: Browser, site: Site) -> Iterator[None]:
    """Assert after each test that the console is empty and that no other host was called."""
    yield
    assert browser.complaints() == []
    asked = [urlsplit(url) for url in browser.requested()]
    hosts = {f"{url.scheme}://{url.netloc}" for url in asked if url.scheme not in LOCAL}
    assert hosts == {site.api.url}


@either_transport
def test_the_authorize_button_logs_in(browser: Browser, site: Site) -> None:
    """Requests by *Try it out* are then authenticated."""
    register(site.api.url)
    browser.open(f"{site.api.url}/docs")

    authorize_and_ask_who_i_am(browser)


def register(url: str) -> None:
    """Register the account of CREDENTIALS at the application under this URL."""
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(url))
    path = f"{url}/api/v1/auth/register"
    httpx2.post(path, json=CREDENTIALS, headers={"Origin": origin}, trust_env=False)


def authorize_and_ask_who_i_am(browser: Browser) -> None:
    """Log in on the open page of Swagger UI, and try out `get_me` there."""
    browser.find("//button[contains(@class, 'authorize')]").click()
    browser.find("//input[@id='oauth_username']").type(CREDENTIALS["email"])
    browser.find("//input[@id='oauth_password']").type(CREDENTIALS["password"])
    browser.find("//button[@aria-label='Apply given OAuth2 credentials']").click()
    browser.find("//button[text()='Logout']")
    browser.find("//button[contains(@class, 'btn-done')]").click()
    browser.find("//*[@id='operations-Users-get_me']//button").click()
    browser.find("//button[contains(@class, 'try-out__btn')]").click()
    browser.find("//button[contains(@class, 'execute')]").click()
    browser.find(
        "//*[contains(@class, 'live-responses-table')]//tbody"
        f"[contains(., '200') and contains(., '{CREDENTIALS['email']}')]"
    )


@either_transport
def test_redoc_renders_every_operation(browser: Browser, site: Site) -> None:
    schema = httpx2.get(f"{site.api.url}/openapi.json", trust_env=False).json()
    operations = [each for path in schema["paths"].values() for each in path.values()]
    browser.open(f"{site.api.url}/redoc")

    browser.find("//h1[starts-with(., 'Catalogue')]")
    for operation in operations:
        browser.find(f"//*[contains(@id, '/operation/{operation['operationId']}')]")
