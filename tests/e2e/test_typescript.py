"""A TypeScript client whose types are generated from openapi.json compiles, and works."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from app.core.config import PROJECT_ROOT
from tests.e2e.served import serving

SOURCES: Final = Path(__file__).with_name("typescript")
# Ignored by git and by every check; made again when it is deleted, or the lock file changes.
WORKSHOP: Final = PROJECT_ROOT / ".tools" / "typescript"
PROGRAMS: Final = ("node", "npm")
MISSING: Final = """\
{programs} not found: the TypeScript client was neither compiled nor run.
Debian, Ubuntu: apt-get install nodejs npm
macOS:          brew install node
Version 20 of Node.js or a newer one.
"""


def run(*command: str) -> str:
    """What it printed; the test fails with all of it when the command does."""
    finished = subprocess.run(  # noqa: S603 - our own commands
        command,
        cwd=WORKSHOP,
        env={**os.environ, "NO_COLOR": "1"},
        text=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    assert finished.returncode == 0, f"{' '.join(command)}:\n{finished.stdout}{finished.stderr}"
    return finished.stdout


@pytest.fixture
def workshop() -> Path:
    """The client's sources beside the packages of its lock file, and the committed document."""
    if missing := [name for name in PROGRAMS if not shutil.which(name)]:
        pytest.fail(MISSING.format(programs=" and ".join(missing)), pytrace=False)
    shutil.copytree(SOURCES, WORKSHOP, dirs_exist_ok=True)
    shutil.copy(PROJECT_ROOT / "openapi.json", WORKSHOP)
    lock, installed = WORKSHOP / "package-lock.json", WORKSHOP / "installed.lock"
    if not installed.exists() or installed.read_bytes() != lock.read_bytes():
        installed.unlink(missing_ok=True)
        run("npm", "ci")
        shutil.copy(lock, installed)
    return WORKSHOP


@pytest.fixture
def compiled(workshop: Path) -> Path:
    shutil.rmtree(workshop / "build", ignore_errors=True)
    run("npm", "run", "generate")
    run("npm", "run", "compile")
    return workshop / "build" / "client.js"


def test_a_generated_client_registers_creates_lists_and_reads_errors(
    compiled: Path, tmp_path: Path, sqlite_template: Path
) -> None:
    database = tmp_path / "app.db"
    shutil.copy(sqlite_template, database)
    with serving(database) as api:
        seen: dict[str, Any] = json.loads(run("node", str(compiled), api.url))

    assert seen["created"] == "Buy milk"
    assert seen["titles"] == ["Buy milk"]
    assert seen["fetched"] == "active"
    assert len(seen["requestId"]) == 32
    assert seen["missing"] == [404, "not_found"]
    assert seen["refused"] == ["body.title"]


def test_the_compiler_refuses_what_the_api_does_not_have(workshop: Path) -> None:
    """Otherwise a client that compiles would prove nothing."""
    run("npm", "run", "generate")
    client = workshop / "client.ts"
    client.write_text(client.read_text().replace("created.owner_public_id", "created.owner_id"))

    with pytest.raises(AssertionError, match="Property 'owner_id' does not exist"):
        run("npm", "run", "compile")
