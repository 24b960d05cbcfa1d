"""A browser, a server in either mode, and pages of three origins, two of them unlisted."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from httpx2 import Client

from tests.e2e.pages import page_server
from tests.e2e.webdriver import Browser, missing_programs, new_browser, running_driver
from tests.test_cli import Cli
from tests.test_cli_server import Serving, serving

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
    """The origins that take part."""

    api: str
    # Of the same site as the API, and in CORS_ORIGINS.
    page: str
    # Of the same site, and anybody's.
    neighbour: str
    # Of another site.
    stranger: str
    server: Serving
    database: Path

    def answered(self, path: str, status: int) -> int:
        """How many requests for this path the API has answered so."""
        lines = [json.loads(line) for line in self.server.output.splitlines()]
        return [(line.get("path"), line.get("status")) for line in lines].count((path, status))


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
    cli = Cli.migrated(tmp_path, sqlite_template)
    with ExitStack() as stack:
        page, neighbour, stranger = (stack.enter_context(page_server()) for _ in range(3))
        server = stack.enter_context(
            serving(
                cli,
                REFRESH_TOKEN_TRANSPORT=transport,
                CORS_ORIGINS=f"http://localhost:{page}",
                DATABASE_LOCK_TIMEOUT_SECONDS="30",
            )
        )
        yield Site(
            api=server.url.replace("127.0.0.1", "localhost"),
            page=f"http://localhost:{page}",
            neighbour=f"http://localhost:{neighbour}",
            stranger=f"http://127.0.0.1:{stranger}",
            server=server,
            database=cli.database,
        )
