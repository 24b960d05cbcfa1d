"""The Python client that openapi-python-client generates for the catalogue is typed and works."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Final

import pytest

from mscr.tests.e2e.served import serving
from mscr.tests.e2e.workshop import Workshop
from mscr.tests.support.paths import REPOSITORY

SOURCES: Final = Path(__file__).with_name("python_client")
# A separate environment: the generated client needs httpx, and the project uses httpx2.
LOCK: Final = REPOSITORY / "requirements-client.lock"
PACKAGE: Final = "generated_client"


@pytest.fixture(scope="module")
def workshop() -> Workshop:
    """Install the generator in a separate environment and generate the client."""
    workshop = Workshop("python-client")
    workshop.fill(SOURCES)
    workshop.install(LOCK, lambda: _install(workshop))
    shutil.rmtree(workshop.path / PACKAGE, ignore_errors=True)
    workshop.run(
        *(_program(workshop, "openapi-python-client"), "generate", "--fail-on-warning"),
        *("--path", "openapi.json", "--config", "config.yaml"),
        *("--meta", "none", "--output-path", PACKAGE),
    )
    return workshop


def _install(workshop: Workshop) -> None:
    shutil.rmtree(workshop.path / "venv", ignore_errors=True)
    workshop.run(sys.executable, "-m", "venv", "venv")
    pip = (_program(workshop, "python"), "-m", "pip", "install", "--disable-pip-version-check")
    workshop.run(*pip, "--require-hashes", "-r", str(LOCK))


def _program(workshop: Workshop, name: str) -> str:
    return str(workshop.path / "venv" / "bin" / name)


def _check_types(workshop: Workshop, *files: str) -> str:
    # Run the project's mypy without the project's settings.
    mypy = (sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull)
    return workshop.run(*mypy, "--python-executable", _program(workshop, "python"), *files)


def test_a_generated_client_logs_in_creates_imports_lists_and_refreshes(
    workshop: Workshop, tmp_path: Path, sqlite_template: Path
) -> None:
    database = tmp_path / "app.db"
    shutil.copy(sqlite_template, database)
    _check_types(workshop, "client.py", PACKAGE)

    with serving(database) as api:
        told = workshop.run(_program(workshop, "python"), "client.py", api.url)

    assert json.loads(told) == {
        "logged_in": "bearer",
        "refreshed": True,
        "created": "Buy milk",
        "imported": [1, 1],
        "titles": ["Buy bread", "Buy milk", "Buy salt"],
        "credentials": [401, "invalid_credentials"],
        "grant": [400, "invalid_grant"],
    }


def test_the_type_checker_rejects_an_unknown_field(workshop: Workshop) -> None:
    """Prove that the type check can fail."""
    wrong = (SOURCES / "client.py").read_text().replace("created.data.title", "created.data.id")
    (workshop.path / "wrong.py").write_text(wrong)

    with pytest.raises(AssertionError, match='"ItemResponse" has no attribute "id"'):
        _check_types(workshop, "wrong.py")
