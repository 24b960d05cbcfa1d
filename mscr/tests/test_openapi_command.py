"""The command `openapi`: the committed document must match the application."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from examples.catalogue.project import project
from mscr.cli.openapi import RELEASED, default_document, render
from mscr.tests.support import command_line
from mscr.tests.support.command_line import Cli, Finished, assert_refused, run_here


@pytest.fixture
def committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Replace the project's file with another path, which does not exist yet."""
    file = tmp_path / "openapi.json"
    monkeypatch.setattr(command_line, "project", replace(project, root=tmp_path))
    return file


def write(file: Path, document: dict[str, Any]) -> None:
    file.write_text(render(document))


def with_route(*names: str) -> dict[str, Any]:
    """Return the application's document, with routes that it does not have."""
    document = default_document(project)
    for name in names:
        document["paths"][f"/api/v1/{name}"] = {"get": {"operationId": name, "responses": {}}}
    return document


def assert_breaks(refused: Finished, change: str) -> None:
    """Assert that it refused this one change, and named the option that permits it."""
    assert refused.returncode == 1
    named, error = refused.stderr.splitlines()
    assert named == f"breaks clients: {change}"
    assert error.endswith("python cli.py openapi --write --breaking")


def test_the_document_has_the_defaults_whatever_is_configured(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    cli.settings |= {
        "SECRET_KEY": "",
        "DATABASE_URL": "nonsense",
        "app_name": "Mine",
        "JWT_ISSUER_FILE": "/no/such/file",
        "REFRESH_TOKEN_TRANSPORT": "cookie",
    }

    assert cli.run("openapi").stdout == render(default_document(project))


def test_the_environment_is_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_NAME", "Mine")
    before = dict(os.environ)

    assert default_document(project)["info"]["title"] != "Mine"
    assert dict(os.environ) == before


def test_an_outdated_document_fails_the_check_until_it_is_written(committed: Path) -> None:
    assert_refused(run_here("openapi", "--check"), "out of date", "openapi --write")
    document = default_document(project)
    del document["paths"]["/health"]
    write(committed, document)
    assert_refused(run_here("openapi", "--check"), "out of date", "openapi --write")

    assert run_here("openapi", "--write").returncode == 0
    assert run_here("openapi", "--check").returncode == 0
    assert json.loads(committed.read_text()) == default_document(project)


def test_a_change_of_what_was_never_released_is_written_and_named(committed: Path) -> None:
    write(committed, with_route("renamed"))

    checked, written = run_here("openapi", "--check"), run_here("openapi", "--write")

    assert checked.stderr.endswith("out of date; write it: python cli.py openapi --write\n")
    assert written.returncode == 0
    for finished in (checked, written):
        assert "breaks clients: GET /api/v1/renamed: removed\n" in finished.stderr
        assert "not refused" in finished.stderr
    assert run_here("openapi", "--check").returncode == 0


def test_a_route_that_is_newer_than_the_release_may_be_renamed(committed: Path) -> None:
    write(committed.with_name(RELEASED), default_document(project))
    write(committed, with_route("renamed"))

    written = run_here("openapi", "--write")

    assert (written.returncode, written.stderr) == (0, "")


def test_a_change_that_breaks_a_release_is_written_only_with_an_option(committed: Path) -> None:
    write(committed, with_route("gone"))
    write(committed.with_name(RELEASED), with_route("gone"))
    promised = committed.read_text()

    for refused in (run_here("openapi", "--check"), run_here("openapi", "--write")):
        assert_breaks(refused, "GET /api/v1/gone: removed")
    assert committed.read_text() == promised

    assert run_here("openapi", "--write", "--breaking").returncode == 0
    assert run_here("openapi", "--check").returncode == 0


def test_a_written_break_is_not_refused_again_but_another_one_is(committed: Path) -> None:
    write(committed.with_name(RELEASED), with_route("gone", "kept"))
    write(committed, with_route("kept", "later"))

    assert_breaks(run_here("openapi", "--write"), "GET /api/v1/kept: removed")


def test_a_missing_document_is_compared_with_the_release(committed: Path) -> None:
    write(committed.with_name(RELEASED), with_route("gone"))

    assert_breaks(run_here("openapi", "--write"), "GET /api/v1/gone: removed")


def test_a_release_records_the_committed_document(committed: Path) -> None:
    released = committed.with_name(RELEASED)
    assert_refused(run_here("openapi", "--release"), "out of date", "openapi --write")
    assert not released.exists()
    run_here("openapi", "--write")

    assert run_here("openapi", "--release").returncode == 0
    assert released.read_bytes() == committed.read_bytes()


@pytest.mark.parametrize(
    "left",
    [b"", b'<<<<<<< HEAD\n{"paths": {}}\n=======\n{}\n>>>>>>> other\n', b"\xff", b"[]", b"{}"],
)
def test_an_unreadable_document_is_replaced_only_with_an_option(
    committed: Path, left: bytes
) -> None:
    committed.write_bytes(left)
    for refused in (run_here("openapi", "--check"), run_here("openapi", "--write")):
        assert_refused(refused, "is not an OpenAPI document", "openapi --write --breaking")
    assert committed.read_bytes() == left

    assert run_here("openapi", "--write", "--breaking").returncode == 0
    assert run_here("openapi", "--check").returncode == 0


def test_an_unreadable_release_is_named(committed: Path) -> None:
    run_here("openapi", "--write")
    committed.with_name(RELEASED).write_text("<<<<<<< HEAD\n")

    assert_refused(run_here("openapi", "--write"), f"{RELEASED} is not an OpenAPI document")
