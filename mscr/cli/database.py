"""The command that migrates the database."""
# ruff: noqa: PLC0415

import asyncio
from typing import TYPE_CHECKING

import typer

from mscr.cli.command_line import project_of
from mscr.cli.console import say
from mscr.cli.database_sessions import open_session
from mscr.cli.faults import REPAIR, Fault, database_name, listed

if TYPE_CHECKING:
    from mscr.project import Project

commands = typer.Typer()


@commands.command("init-db")
def init_db(context: typer.Context) -> None:
    """Upgrade the database to the newest migration, and check that its schema fits the code."""
    project = project_of(context)
    name = database_name(project.get_settings())
    applied = migrate(project)
    for migration in applied:
        say(f"applied {migration}")
    if missing := asyncio.run(missing_from_schema(project)):
        raise Fault(f"{name} is at the newest migration, but {listed(missing)}", REPAIR)
    say(f"{name} is at the newest migration" + ("" if applied else ": nothing to do"))


def migrate(project: "Project") -> list[str]:
    """Upgrade the database to the newest migration. Return the applied ones, oldest first.

    Raises `Fault`.
    """
    from alembic.util import CommandError

    from mscr.connections.backing_services import DATABASE
    from mscr.db.migration_faults import in_one_line
    from mscr.db.migrations import alembic_config, upgrade

    try:
        with in_one_line(DATABASE, where=database_name(project.get_settings())):
            return upgrade(alembic_config(project.root))
    except CommandError as error:
        raise Fault(str(error)) from error


async def missing_from_schema(project: "Project") -> list[str]:
    """Return the parts that requests need and the schema lacks.

    They can be missing at the newest migration, if it was edited after it had run.
    """
    from mscr.db.schema_check import find_faults

    async with open_session(project, read_only=True) as session:
        connection = await session.connection()
        faults = await connection.run_sync(find_faults, project.metadata(), project.search_columns)
        return [str(fault) for fault in faults if fault.is_fatal]
