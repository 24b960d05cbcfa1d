"""The documentation pages behind a path prefix of a real nginx, in a browser."""

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest

from mscr.tests.deploy.nginx import Nginx
from mscr.tests.deploy.test_nginx_prefix import SERVER
from mscr.tests.e2e.served import serving
from mscr.tests.e2e.test_docs import LOCAL, authorize_and_ask_who_i_am, register
from mscr.tests.e2e.webdriver import Browser

ROOT: Final = "/svc"


@pytest.fixture(params=["/", ""], ids=["taken off", "passed on"])
def url(request: pytest.FixtureRequest, tmp_path: Path, sqlite_template: Path) -> Iterator[str]:
    """Yield the URL of the prefix."""
    database = tmp_path / "app.db"
    shutil.copy(sqlite_template, database)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {"ROOT_PATH": ROOT, "TRUSTED_PROXIES": "127.0.0.1"}
    with serving(database, REFRESH_TOKEN_TRANSPORT="cookie", **settings) as served:
        upstream = urlsplit(served.url).port
        server = SERVER.format(port=port, upstream=upstream, root=ROOT, slash=request.param)
        with Nginx(server, port=port):
            yield f"http://localhost:{port}{ROOT}"


def test_the_authorize_button_logs_in_behind_a_prefix(browser: Browser, url: str) -> None:
    """Every request has the prefix, and the console is empty."""
    register(url)
    browser.open(f"{url}/docs")

    authorize_and_ask_who_i_am(browser)

    asked = [each for each in browser.requested() if urlsplit(each).scheme not in LOCAL]
    assert [each for each in asked if not each.startswith(f"{url}/")] == []
    assert browser.complaints() == []


def test_redoc_renders_behind_a_prefix(browser: Browser, url: str) -> None:
    browser.open(f"{url}/redoc")

    browser.find("//*[contains(@id, '/operation/get_me')]")
    assert browser.complaints() == []
