"""A small client for Chromium's driver over the W3C WebDriver protocol.

The commands are those of https://www.w3.org/TR/webdriver2/. Only `se/log`, which returns the logs
of the console and the network, is specific to the driver.
"""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

from httpx2 import Client

TIMEOUT: Final = timedelta(seconds=30)
BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
DRIVER: Final = "chromedriver"
# The key of an element's id in responses (WebDriver §12.2).
ELEMENT: Final = "element-6066-11e4-a52e-4f735466cecf"
ARGUMENTS: Final = (
    "--headless=new",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
    # High enough to click anything without scrolling.
    "--window-size=1200,3000",
    # Resolve no other hosts, so that no request leaves the machine.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
)


class WebDriverError(RuntimeError):
    """The driver refused a command."""


def missing_programs() -> list[str]:
    """Return which of the browser and its driver are not installed."""
    browser = any(shutil.which(name) for name in BROWSERS)
    return [
        name for name, found in (("chromium", browser), (DRIVER, shutil.which(DRIVER))) if not found
    ]


@contextmanager
def running_driver() -> Iterator[Client]:
    """Run the driver on a free port of loopback, which it prints once it listens."""
    command = [str(shutil.which(DRIVER)), "--port=0"]
    with subprocess.Popen(  # noqa: S603 - found by its name
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        try:
            port = next(
                found[1]
                for line in process.stdout
                if (found := re.search(r"started successfully on port (\d+)", line))
            )
            url = f"http://127.0.0.1:{port}"
            with Client(base_url=url, trust_env=False, timeout=2 * TIMEOUT.total_seconds()) as http:
                yield http
        finally:
            process.terminate()


@contextmanager
def new_browser(driver: Client) -> Iterator["Browser"]:
    """Start a browser with an empty profile."""
    binary = next(path for name in BROWSERS if (path := shutil.which(name)))
    # Chromium's sandbox refuses to run as root.
    arguments = [*ARGUMENTS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    capabilities = {
        "browserName": "chrome",
        "goog:chromeOptions": {"binary": binary, "args": arguments},
        "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        # Wait for elements to appear.
        "timeouts": {"implicit": int(TIMEOUT.total_seconds() * 1000)},
    }
    value = _command(driver, "POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
    browser = Browser(driver, f"/session/{value['sessionId']}")
    try:
        yield browser
    finally:
        _command(driver, "DELETE", f"/session/{value['sessionId']}")


class Browser:
    def __init__(self, driver: Client, session: str) -> None:
        self._driver = driver
        self._session = session
        self._urls: dict[str, str] = {}
        self._sent: set[str] = set()

    def open(self, url: str) -> None:
        self._post("/url", url=url)

    def new_tab(self, url: str) -> str:
        """Open a page in a new tab and switch to it. Return the tab's handle."""
        handle = str(self._post("/window/new", type="tab")["handle"])
        self.switch_to(handle)
        self.open(url)
        return handle

    def close_tab(self) -> None:
        """Close the current tab. Switch to another one next."""
        _command(self._driver, "DELETE", f"{self._session}/window")

    def switch_to(self, handle: str) -> None:
        self._post("/window", handle=handle)

    @property
    def tab(self) -> str:
        return str(self._get("/window"))

    @property
    def url(self) -> str:
        return str(self._get("/url"))

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page and return its result; a promise is awaited."""
        return self._post("/execute/sync", script=script, args=arguments)

    def find(self, xpath: str) -> "Element":
        """Wait for an element and return it."""
        found = self._post("/element", using="xpath", value=xpath)
        return Element(self._driver, f"{self._session}/element/{found[ELEMENT]}")

    def cookies(self) -> dict[str, dict[str, Any]]:
        """Return the cookies for the page's own server by name, including HttpOnly ones."""
        return {cookie["name"]: cookie for cookie in self._get("/cookie")}

    def complaints(self) -> list[str]:
        """Return errors, policy violations and warnings on the console since the last call."""
        entries = self._post("/se/log", type="browser")
        return [entry["message"] for entry in entries if entry["level"] in {"SEVERE", "WARNING"}]

    def requested(self) -> list[str]:
        """Return the URLs that all tabs have requested so far."""
        for entry in self._post("/se/log", type="performance"):
            event = json.loads(entry["message"])["message"]
            facts = event["params"]
            if event["method"] == "Network.requestWillBeSent":
                self._urls[facts["requestId"]] = facts["request"]["url"]
            # Only requests that go over the network cause this event.
            elif event["method"] == "Network.requestWillBeSentExtraInfo":
                self._sent.add(facts["requestId"])
        return list(self._urls.values())

    def wait_until_sent(self, url: str, count: int) -> None:
        """Wait until so many requests for this URL have been sent."""
        deadline = time.monotonic() + TIMEOUT.total_seconds()
        while [self._urls.get(each) for each in self._sent].count(url) < count:
            assert time.monotonic() < deadline, self._urls
            self.requested()

    def _get(self, path: str) -> Any:
        return _command(self._driver, "GET", self._session + path)

    def _post(self, path: str, **parameters: Any) -> Any:
        return _command(self._driver, "POST", self._session + path, parameters)


class Element:
    def __init__(self, driver: Client, path: str) -> None:
        self._driver = driver
        self._path = path

    def click(self) -> None:
        _command(self._driver, "POST", f"{self._path}/click", {})

    def type(self, text: str) -> None:
        _command(self._driver, "POST", f"{self._path}/value", {"text": text})

    @property
    def text(self) -> str:
        return str(_command(self._driver, "GET", f"{self._path}/text"))


def _command(
    driver: Client, method: str, path: str, parameters: dict[str, Any] | None = None
) -> Any:
    value = driver.request(method, path, json=parameters).json()["value"]
    if isinstance(value, dict) and "error" in value:
        raise WebDriverError(f"{value['error']}: {value['message']}")
    return value
