"""The paths, settings and factories of this project, for the kit's commands and checks."""
# Commands start fast because these functions import the application only when they are called.
# ruff: noqa: PLC0415

from typing import TYPE_CHECKING, Final

from app.core.config import PROJECT_ROOT, Settings, get_settings
from mscr.project import Project

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fastapi import FastAPI

    from app.db.session import Database
    from mscr.http.dialect import Dialect
    from mscr.models.tables import Tables
    from mscr.services.demo_accounts import DemoAccount


def _create_app(settings: Settings) -> "FastAPI":
    from app.main import create_app

    return create_app(settings)


def _create_database(settings: Settings) -> "Database":
    from app.db.session import Database

    return Database(settings)


def _tables() -> "Tables":
    from app.models.tables import TABLES

    return TABLES


def _search_columns(dialect: str) -> "Iterable[tuple[str, str]]":
    from app.db.search_index import search_columns

    return search_columns(dialect)


async def _add_demo_data(command: str) -> "Sequence[DemoAccount]":
    from app.cli.seeding import add_demo_data

    return await add_demo_data(project, command=command)


def _administrator() -> str:
    from app.db.init_db import ADMIN_EMAIL

    return ADMIN_EMAIL


def _dialect() -> "Dialect":
    from app.core.dialect import DIALECT

    return DIALECT


project: Final = Project(
    root=PROJECT_ROOT,
    package="app",
    settings=Settings,
    get_settings=get_settings,
    create_app=_create_app,
    create_database=_create_database,
    tables=_tables,
    search_columns=_search_columns,
    add_demo_data=_add_demo_data,
    administrator=_administrator,
    dialect=_dialect,
)
