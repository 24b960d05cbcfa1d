"""The paths, settings and factories of the catalogue, for the kit's commands."""
# Commands start fast because these functions import the application only when they are called.
# ruff: noqa: PLC0415

from typing import TYPE_CHECKING, Final

from examples.catalogue.core.config import ROOT, Settings, get_settings
from mscr.project import Project

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fastapi import FastAPI

    from examples.catalogue.db.session import Database
    from mscr.models.tables import Tables
    from mscr.services.demo_accounts import DemoAccount


def _create_app(settings: Settings) -> "FastAPI":
    from examples.catalogue.main import create_app

    return create_app(settings)


def _create_database(settings: Settings) -> "Database":
    from examples.catalogue.db.session import Database

    return Database(settings)


def _tables() -> "Tables":
    from examples.catalogue.models.tables import TABLES

    return TABLES


def _search_columns(dialect: str) -> "Iterable[tuple[str, str]]":
    from examples.catalogue.db.session import search_columns

    return search_columns(dialect)


async def _add_demo_data(command: str) -> "Sequence[DemoAccount]":
    from examples.catalogue.cli.seeding import add_demo_data

    return await add_demo_data(project, command=command)


def _administrator() -> str:
    from examples.catalogue.db.init_db import ADMIN_EMAIL

    return ADMIN_EMAIL


project: Final = Project(
    root=ROOT,
    package="examples.catalogue",
    settings=Settings,
    get_settings=get_settings,
    create_app=_create_app,
    create_database=_create_database,
    tables=_tables,
    search_columns=_search_columns,
    add_demo_data=_add_demo_data,
    administrator=_administrator,
)
