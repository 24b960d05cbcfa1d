"""OpenAPI: the committed document, and what a new one would break."""
# ruff: noqa: PLC0415

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Any, Final

import typer

from app.cli.console import remark, say
from app.cli.faults import Fault
from app.core.config import PROJECT_ROOT

DOCUMENT: Final = PROJECT_ROOT / "openapi.json"
WRITE: Final = "python cli.py openapi --write"

commands = typer.Typer()


class _UnreadableDocument(Fault):
    def __init__(self) -> None:
        super().__init__(
            f"{DOCUMENT.name} is no OpenAPI document (is a merge's conflict left in it?)",
            f"take a committed one back, then {WRITE}; or without comparing: {WRITE} --breaking",
        )


@commands.command()
def openapi(
    write: Annotated[bool, typer.Option("--write", help="Write the file.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Fail when the file differs.")] = False,
    breaking: Annotated[
        bool, typer.Option("--breaking", help="Write it although it breaks clients.")
    ] = False,
) -> None:
    """Print openapi.json, made from the application with its default settings."""
    document = default_document()
    text = render(document)
    if check:
        _check(document, text)
    elif write:
        _write(document, text, breaking=breaking)
    else:
        print(text, end="")


def default_document() -> dict[str, Any]:
    """What an application says that nobody has configured, whatever the environment here."""
    with _no_environment():
        from app.core.config import Settings
        from app.main import create_app

        return create_app(Settings(_env_file=None, _secrets_dir=None)).openapi()


def render(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _check(document: dict[str, Any], text: str) -> None:
    if DOCUMENT.exists() and DOCUMENT.read_bytes() == text.encode():
        say(f"{DOCUMENT.name} says what the application says")
        return
    if _remark_on_breaks(document):
        raise Fault(
            f"{DOCUMENT.name} promises what the application no longer keeps",
            f"take it back, or if clients are to follow: {WRITE} --breaking",
        )
    raise Fault(f"{DOCUMENT.name} is out of date", f"write it: {WRITE}")


def _write(document: dict[str, Any], text: str, *, breaking: bool) -> None:
    if breaking:
        # Told all the same, if there is anything to compare with.
        with suppress(_UnreadableDocument):
            _remark_on_breaks(document)
    elif _remark_on_breaks(document):
        raise Fault("this breaks clients", f"if it is meant to: {WRITE} --breaking")
    DOCUMENT.write_text(text, encoding="utf-8", newline="\n")
    say(f"wrote {DOCUMENT.name}")


def _remark_on_breaks(document: dict[str, Any]) -> bool:
    """Tell each change from the committed document that breaks clients; whether there is one.

    Raises `_UnreadableDocument`.
    """
    from app.cli.openapi_changes import breaking_changes

    if not DOCUMENT.exists():
        return False
    changes = breaking_changes(_committed_document(), document)
    for change in changes:
        remark(f"breaks clients: {change}")
    return bool(changes)


def _committed_document() -> dict[str, Any]:
    try:
        document = json.loads(DOCUMENT.read_bytes())
    except ValueError:
        raise _UnreadableDocument from None
    if not isinstance(document, dict) or "paths" not in document:
        raise _UnreadableDocument
    return document


@contextmanager
def _no_environment() -> Iterator[None]:
    """Importing the application makes one of the environment's settings, which may be unusable."""
    from app.core.config import Settings
    from app.core.settings_sources import CREDENTIALS_DIRECTORY

    fields = Settings.model_fields
    kept = dict(os.environ)
    for name in kept:
        # Settings are read in any case, and from files that variables name.
        if name == CREDENTIALS_DIRECTORY or name.upper().removesuffix("_FILE") in fields:
            del os.environ[name]
    throw_away = {name: secrets.token_hex(32) for name in ("SECRET_KEY", "JWT_SECRET_KEY")}
    os.environ |= {"ENV_FILE": os.devnull, **throw_away}
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)
