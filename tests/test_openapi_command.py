"""`python cli.py openapi`: the committed document is the application's, and is kept."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from app.cli.openapi import default_document, render
from app.core.config import PROJECT_ROOT
from tests.test_cli import Cli, assert_refused, run_here

COMMITTED = PROJECT_ROOT / "openapi.json"


@pytest.fixture
def committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another file in the place of the project's, which is not there yet."""
    file = tmp_path / "openapi.json"
    monkeypatch.setattr("app.cli.openapi.DOCUMENT", file)
    return file


def write(file: Path, document: dict[str, Any]) -> None:
    file.write_text(render(document))


def test_the_document_in_the_project_is_up_to_date() -> None:
    assert COMMITTED.read_text() == render(default_document()), (
        "write it: python cli.py openapi --write"
    )


def test_it_is_that_of_the_defaults_whatever_is_configured(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    cli.settings |= {
        "SECRET_KEY": "",
        "DATABASE_URL": "nonsense",
        "app_name": "Mine",
        "JWT_ISSUER_FILE": "/no/such/file",
        "REFRESH_TOKEN_TRANSPORT": "cookie",
    }

    assert cli.run("openapi").stdout == COMMITTED.read_text()
    assert cli.run("openapi", "--check").returncode == 0


def test_the_environment_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_NAME", "Mine")
    before = dict(os.environ)

    assert default_document()["info"]["title"] != "Mine"
    assert dict(os.environ) == before


def test_what_is_out_of_date_fails_the_check_until_it_is_written(committed: Path) -> None:
    assert_refused(run_here("openapi", "--check"), "out of date", "openapi --write")
    document = default_document()
    del document["paths"]["/health"]
    write(committed, document)
    assert_refused(run_here("openapi", "--check"), "out of date", "openapi --write")

    assert run_here("openapi", "--write").returncode == 0
    assert run_here("openapi", "--check").returncode == 0
    assert json.loads(committed.read_text()) == default_document()


def test_what_breaks_clients_is_written_only_on_purpose(committed: Path) -> None:
    document = default_document()
    document["paths"]["/api/v1/gone"] = {"get": {"operationId": "gone", "responses": {}}}
    write(committed, document)
    promised = committed.read_text()

    for refused in (run_here("openapi", "--check"), run_here("openapi", "--write")):
        assert refused.returncode == 1
        assert "breaks clients: GET /api/v1/gone: removed\n" in refused.stderr
        assert "openapi --write --breaking" in refused.stderr
    assert committed.read_text() == promised

    assert run_here("openapi", "--write", "--breaking").returncode == 0
    assert run_here("openapi", "--check").returncode == 0


@pytest.mark.parametrize(
    "left",
    [b"", b'<<<<<<< HEAD\n{"paths": {}}\n=======\n{}\n>>>>>>> other\n', b"\xff", b"[]", b"{}"],
)
def test_what_cannot_be_read_is_refused_and_written_anew_on_purpose(
    committed: Path, left: bytes
) -> None:
    committed.write_bytes(left)
    for refused in (run_here("openapi", "--check"), run_here("openapi", "--write")):
        assert_refused(refused, "is no OpenAPI document", "openapi --write --breaking")
    assert committed.read_bytes() == left

    assert run_here("openapi", "--write", "--breaking").returncode == 0
    assert run_here("openapi", "--check").returncode == 0
