"""Fixtures: a browser, a server for either transport, and pages of three origins.

Two of the origins are not in CORS_ORIGINS.
"""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from httpx2 import Client

from mscr.tests.e2e.pages import page_server
from mscr.tests.e2e.served import Served, serving
from mscr.tests.e2e.webdriver import Browser, missing_programs, new_browser, running_driver

MISSING = """\
{programs} not found: these tests need a browser and its driver.
Debian:        apt-get install chromium chromium-driver
Ubuntu, macOS: Chrome or Chromium, and the chromedriver of the same version, on the PATH
"""


def pytest_sessionstart() -> None:
    if missing := missing_programs():
        raise pytest.UsageError(MISSING.format(programs=" and ".join(missing)))


@dataclass(frozen=True)
class Site:
    """The server, its database, and the origins of the pages."""

    api: Served
    # Same site as the API, and in CORS_ORIGINS.
    page: str
    # Same site, but not in CORS_ORIGINS: an attacker's page.
    neighbour: str
    # Another site.
    stranger: str
    database: Path


@pytest.fixture(scope="session")
def driver() -> Iterator[Client]:
    with running_driver() as http:
        yield http


@pytest.fixture
def browser(driver: Client) -> Iterator[Browser]:
    with new_browser(driver) as browser:
        yield browser


@pytest.fixture
def transport() -> str:
    return "cookie"


@pytest.fixture
def site(transport: str, tmp_path: Path, sqlite_template: Path) -> Iterator[Site]:
    database = tmp_path / "app.db"
    shutil.copy(sqlite_template, database)
    with ExitStack() as stack:
        page, neighbour, stranger = (stack.enter_context(page_server()) for _ in range(3))
        listed = f"http://localhost:{page}"
        api = serving(
            database,
            REFRESH_TOKEN_TRANSPORT=transport,
            CORS_ORIGINS=listed,
            DATABASE_LOCK_TIMEOUT_SECONDS="30",
        )
        yield Site(
            api=stack.enter_context(api),
            page=listed,
            neighbour=f"http://localhost:{neighbour}",
            stranger=f"http://127.0.0.1:{stranger}",
            database=database,
        )
