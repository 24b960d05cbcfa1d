"""TypeScript clients that two generators make from the OpenAPI document compile and work.

`client.ts` uses generated types (openapi-typescript), `sdk.ts` generated functions
(@hey-api/openapi-ts).
"""

import json
import shutil
from pathlib import Path
from typing import Any, Final

import pytest

from mscr.tests.e2e.served import serving
from mscr.tests.e2e.workshop import Workshop

SOURCES: Final = Path(__file__).with_name("typescript")
PROGRAMS: Final = ("node", "npm")
MISSING: Final = """\
{programs} not found: the TypeScript clients were neither compiled nor run.
Debian, Ubuntu: apt-get install nodejs npm
macOS:          brew install node
Version 20.19 of Node.js or a newer one.
"""


@pytest.fixture
def workshop() -> Workshop:
    """Install the packages of the lock file beside the sources and the OpenAPI document."""
    if missing := [name for name in PROGRAMS if not shutil.which(name)]:
        pytest.fail(MISSING.format(programs=" and ".join(missing)), pytrace=False)
    workshop = Workshop("typescript")
    workshop.fill(SOURCES)
    workshop.install(SOURCES / "package-lock.json", lambda: _install(workshop))
    shutil.rmtree(workshop.path / "build", ignore_errors=True)
    return workshop


def _install(workshop: Workshop) -> None:
    workshop.run("npm", "ci")


def seen_by(workshop: Workshop, client: str, database: Path) -> dict[str, Any]:
    """Run the compiled client against the application, and return what it prints."""
    with serving(database) as api:
        told: dict[str, Any] = json.loads(workshop.run("node", f"build/{client}.js", api.url))
    return told


@pytest.fixture
def database(tmp_path: Path, sqlite_template: Path) -> Path:
    database = tmp_path / "app.db"
    shutil.copy(sqlite_template, database)
    return database


def test_a_client_of_generated_types_logs_in_creates_lists_and_reads_errors(
    workshop: Workshop, database: Path
) -> None:
    workshop.run("npm", "run", "generate")
    workshop.run("npm", "run", "compile")
    seen = seen_by(workshop, "client", database)

    assert seen["refreshed"]
    assert seen["token"] == "bearer"
    assert seen["created"] == "Buy milk"
    assert seen["titles"] == ["Buy milk"]
    assert seen["total"] == "1"
    assert seen["fetched"] == "active"
    assert len(seen["requestId"]) == 32
    assert seen["missing"] == [404, "not_found"]
    assert seen["refused"] == ["body.title"]


def test_a_client_of_generated_functions_logs_in_creates_imports_lists_and_refreshes(
    workshop: Workshop, database: Path
) -> None:
    shutil.rmtree(workshop.path / "api", ignore_errors=True)
    workshop.run("npm", "run", "generate:sdk")
    workshop.run("npm", "run", "compile:sdk")

    assert seen_by(workshop, "sdk", database) == {
        "loggedIn": "bearer",
        "created": "Buy milk",
        "imported": [1, 1],
        "titles": ["Buy bread", "Buy milk", "Buy salt"],
        "refreshed": True,
        "grant": [400, "invalid_grant"],
        "credentials": [401, "invalid_credentials"],
    }


def test_the_compiler_rejects_an_unknown_field(workshop: Workshop) -> None:
    """Prove that the compilation can fail."""
    workshop.run("npm", "run", "generate")
    client = workshop.path / "client.ts"
    client.write_text(client.read_text().replace("created.owner_public_id", "created.owner_id"))

    with pytest.raises(AssertionError, match="Property 'owner_id' does not exist"):
        workshop.run("npm", "run", "compile")
