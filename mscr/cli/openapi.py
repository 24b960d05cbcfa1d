"""The command `openapi`: write the document, and check it for changes that break clients."""
# ruff: noqa: PLC0415

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from mscr.cli.command_line import project_of
from mscr.cli.console import remark, say
from mscr.cli.faults import Fault

if TYPE_CHECKING:
    from mscr.core.config import Settings
    from mscr.project import Project

FILE: Final = "openapi.json"
# The copy that a release leaves: the document that deployed clients were generated from.
RELEASED: Final = "openapi.released.json"
WRITE: Final = "python cli.py openapi --write"
RELEASE: Final = "python cli.py openapi --release"

commands = typer.Typer()


class _UnreadableDocument(Fault):
    def __init__(self, file: Path) -> None:
        super().__init__(
            f"{file.name} is not an OpenAPI document (does it have an unresolved merge conflict?)",
            f"restore the committed file, then {WRITE}; or without comparing: {WRITE} --breaking",
        )


@commands.command()
def openapi(
    context: typer.Context,
    write: Annotated[bool, typer.Option("--write", help="Write the file.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Fail if the file differs.")] = False,
    breaking: Annotated[
        bool, typer.Option("--breaking", help="Write the file even if it breaks clients.")
    ] = False,
    release: Annotated[
        bool, typer.Option("--release", help=f"Record a release: copy the file to {RELEASED}.")
    ] = False,
) -> None:
    """Print openapi.json, generated from the application with its default settings."""
    project = project_of(context)
    document = default_document(project)
    text = render(document)
    if check:
        _check(project.root / FILE, document, text)
    elif write:
        _write(project.root / FILE, document, text, breaking=breaking)
    elif release:
        _check(project.root / FILE, document, text)
        _save(project.root / RELEASED, text)
        say(f"{RELEASED} has the API of this release; commit it with the release")
    else:
        print(text, end="")


def default_document(project: "Project") -> dict[str, Any]:
    """Return the document of an application with default settings, ignoring the environment."""
    with _no_environment(project.settings):
        return project.create_app(project.settings.from_env_file(None)).openapi()


def render(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _check(file: Path, document: dict[str, Any], text: str) -> None:
    if file.exists() and file.read_bytes() == text.encode():
        say(f"{file.name} is up to date")
        return
    if _remark_on_breaks(file, document):
        raise Fault(
            f"the application breaks clients of the release in {RELEASED}",
            f"undo the change, or if clients can adapt: {WRITE} --breaking",
        )
    raise Fault(f"{file.name} is out of date", f"write it: {WRITE}")


def _write(file: Path, document: dict[str, Any], text: str, *, breaking: bool) -> None:
    if breaking:
        # Report the changes anyway, if there is a document to compare with.
        with suppress(_UnreadableDocument):
            _remark_on_breaks(file, document)
    elif _remark_on_breaks(file, document):
        raise Fault("this breaks clients", f"if that is intended: {WRITE} --breaking")
    _save(file, text)
    say(f"wrote {file.name}")


def _save(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8", newline="\n")


def _remark_on_breaks(file: Path, document: dict[str, Any]) -> bool:
    """Print each change that breaks clients. Return whether it breaks those of a release.

    Before the first release there are none: changes are compared with the committed document, and
    not refused. Raises `_UnreadableDocument`.
    """
    from mscr.cli.openapi_changes import breaking_changes

    committed, released = _read(file), _read(file.with_name(RELEASED))
    base = released or committed
    if base is None:
        return False
    # Breaks that the committed document already has were written with --breaking: permit them.
    intended = breaking_changes(base, committed or base)
    changes = [each for each in breaking_changes(base, document) if each not in intended]
    for change in changes:
        remark(f"breaks clients: {change}")
    if changes and released is None:
        remark(f"this is not refused, because no release is recorded; to record one: {RELEASE}")
    return bool(changes) and released is not None


def _read(file: Path) -> dict[str, Any] | None:
    if not file.exists():
        return None
    try:
        document = json.loads(file.read_bytes())
    except ValueError:
        raise _UnreadableDocument(file) from None
    if not isinstance(document, dict) or "paths" not in document:
        raise _UnreadableDocument(file)
    return document


@contextmanager
def _no_environment(settings: "type[Settings]") -> Iterator[None]:
    """Hide the environment's settings: importing the application reads them, usable or not."""
    from mscr.core.settings_sources import CREDENTIALS_DIRECTORY

    fields = settings.model_fields
    kept = dict(os.environ)
    for name in kept:
        # Names of settings are case-insensitive, and NAME_FILE is a setting's file.
        if name == CREDENTIALS_DIRECTORY or name.upper().removesuffix("_FILE") in fields:
            del os.environ[name]
    throw_away = {name: secrets.token_hex(32) for name in ("SECRET_KEY", "JWT_SECRET_KEY")}
    os.environ |= {"ENV_FILE": os.devnull, **throw_away}
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)
