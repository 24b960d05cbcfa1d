"""The description of an application that the kit's commands, migrations and checks work on."""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Sequence
    from typing import Any

    from fastapi import FastAPI
    from sqlalchemy import MetaData

    from mscr.core.config import Settings
    from mscr.db.session import Database
    from mscr.http.dialect import Dialect
    from mscr.models.tables import Tables
    from mscr.services.demo_accounts import DemoAccount


def _default_dialect() -> "Dialect":
    from mscr.http.dialect import DEFAULT_DIALECT  # noqa: PLC0415  # slow to import

    return DEFAULT_DIALECT


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """The parts of an application that commands, migrations and checks work on.

    Parts that are slow to import are functions, which import them on the call.
    """

    root: Path
    """The folder of `alembic.ini`, `.env` and `openapi.json`."""
    package: str
    """The package of the application. Its module `main` has the `app` that servers import."""
    settings: "type[Settings]"
    get_settings: "Callable[[], Settings]"
    """Return the process's settings, or end the process with one line for each fault."""
    create_app: "Callable[[Any], FastAPI]"
    """Return an application for an instance of `settings`."""
    create_database: "Callable[[Any], Database]"
    """Return the database of an instance of `settings`."""
    tables: "Callable[[], Tables]"
    """Return the models that the kit reads and writes."""
    search_columns: "Callable[[str], Iterable[tuple[str, str]]]"
    """List (table, column) of full-text search columns, which no model declares."""
    add_demo_data: "Callable[[str], Coroutine[Any, Any, Sequence[DemoAccount]]]"
    """Add demo data for the command of this name, and return its accounts."""
    administrator: "Callable[[], str]"
    """Return the address of the demo data's administrator."""
    dialect: "Callable[[], Dialect]" = _default_dialect
    """Return what the application passes to `install`: the server sends errors of its own."""

    def metadata(self) -> "MetaData":
        """Return the tables of all models."""
        return self.tables().metadata

    @property
    def folder(self) -> Path:
        """The folder of the package."""
        return Path(import_module(self.package).__path__[0])

    @property
    def import_root(self) -> Path:
        """The folder that the package is imported from: the working directory of its servers."""
        return self.folder.parents[self.package.count(".")]

    @property
    def application(self) -> str:
        """The name by which servers import the application."""
        return f"{self.package}.main:app"
