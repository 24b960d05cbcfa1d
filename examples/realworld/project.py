"""The paths, settings and factories of Conduit, for the kit's commands and checks."""
# Commands start fast because these functions import the application only when they are called.
# ruff: noqa: PLC0415

from typing import TYPE_CHECKING, Final

from examples.realworld.core.config import ROOT, Settings, get_settings
from mscr.project import Project

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastapi import FastAPI

    from examples.realworld.db.session import Database
    from mscr.http.dialect import Dialect
    from mscr.models.tables import Tables
    from mscr.services.demo_accounts import DemoAccount


def _create_app(settings: Settings) -> "FastAPI":
    from examples.realworld.main import create_app

    return create_app(settings)


def _create_database(settings: Settings) -> "Database":
    from examples.realworld.db.session import Database

    return Database(settings)


def _tables() -> "Tables":
    from examples.realworld.models.tables import TABLES

    return TABLES


def _dialect() -> "Dialect":
    from examples.realworld.core.dialect import DIALECT

    return DIALECT


async def _add_demo_data(command: str) -> "Sequence[DemoAccount]":  # noqa: ARG001  # none
    return []


project: Final = Project(
    root=ROOT,
    package="examples.realworld",
    settings=Settings,
    get_settings=get_settings,
    create_app=_create_app,
    create_database=_create_database,
    tables=_tables,
    search_columns=lambda _: (),
    add_demo_data=_add_demo_data,
    administrator=lambda: "",
    dialect=_dialect,
)
