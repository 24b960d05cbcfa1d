"""The command that copies all rows to another database, such as from SQLite to PostgreSQL."""
# ruff: noqa: PLC0415

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mscr.cli.command_line import project_of
from mscr.cli.console import progress, remark, say
from mscr.cli.faults import BRING_UP, Fault

if TYPE_CHECKING:
    from sqlalchemy import URL
    from sqlalchemy.ext.asyncio import AsyncConnection

    from mscr.project import Project

commands = typer.Typer()


@commands.command("copy-database")
def copy_database(
    context: typer.Context,
    source: Annotated[str, typer.Option("--from", help="URL of the database to read.")],
    target: Annotated[
        str | None, typer.Option("--to", help="URL of the database to fill.  [DATABASE_URL]")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, max=100_000, help="Rows in one statement.")] = 1000,
) -> None:
    """Copy all rows into a migrated, empty database of either kind, all or nothing."""
    from mscr.connections.urls.database import name_of

    project = project_of(context)
    source_url = _read_url(source, "--from")
    # An empty URL is refused: most likely, a shell variable is not set.
    target_url = (
        project.get_settings().database_url if target is None else _read_url(target, "--to")
    )
    if source_url == target_url:
        raise Fault("--from and --to are the same database", "name another one")
    _require_file(source_url)
    with progress("copying") as advance:
        counts, is_stale = asyncio.run(_copy(project, source_url, target_url, batch, advance))
    for table, count in counts.items():
        say(f"copied {count} rows of {table}")
    say(f"{name_of(target_url)} has all rows of {name_of(source_url)}")
    if is_stale:
        remark("the source was written to during the copy: later writes are not copied")


def _read_url(text: str, option: str) -> "URL":
    from mscr.connections.urls.database import read_database_url
    from mscr.connections.urls.parts import AddressError
    from mscr.core.settings_fields import GOVERNED

    try:
        return read_database_url(text, root=Path.cwd(), governed=GOVERNED)
    except AddressError as error:
        raise Fault(f"{option}: {error}") from error


def _require_file(url: "URL") -> None:
    # Connecting would create the file.
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).is_file():
        raise Fault(f"SQLite {url.database} does not exist", "name the database to read")


async def _copy(
    project: "Project",
    source_url: "URL",
    target_url: "URL",
    batch: int,
    advance: Callable[[int], None],
) -> tuple[dict[str, int], bool]:
    from mscr.db.row_copy import CopyError, copy_rows

    async with AsyncExitStack() as stack:
        source = await stack.enter_async_context(
            _connection(project, source_url, "--from", writes=False)
        )
        target = await stack.enter_async_context(
            _connection(project, target_url, "--to", writes=True)
        )
        with _explained(source_url, "--from"):
            await _require_newest(project, source, source_url)
            before = await _state(source)
        with _explained(target_url, "--to"):
            await _require_newest(project, target, target_url)
            try:
                counts = await copy_rows(
                    source, target, project.metadata(), batch=batch, on_rows=advance
                )
            except CopyError as error:
                raise Fault(str(error), "nothing was copied") from error
            await target.commit()
        await source.rollback()
        return counts, await _state(source) != before


@asynccontextmanager
async def _connection(
    project: "Project", url: "URL", option: str, *, writes: bool
) -> AsyncIterator["AsyncConnection"]:
    """Open a separate connection, without the timeouts of requests, in a transaction."""
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    from mscr.connections.urls.database import connection_of

    is_sqlite = url.get_backend_name() == "sqlite"
    address, arguments = connection_of(url, defaults=_arguments(project, is_sqlite=is_sqlite))
    engine = create_async_engine(
        address,
        poolclass=NullPool,
        connect_args=arguments,
        hide_parameters=True,
        # One snapshot, so that concurrent writes are either completely in it or not at all.
        **({} if is_sqlite or writes else {"isolation_level": "REPEATABLE READ"}),
    )
    if is_sqlite:
        _prepare_sqlite(engine.sync_engine, writes=writes)
    try:
        with _explained(url, option):
            connection = await engine.connect()
        try:
            yield connection
        finally:
            await connection.close()
    finally:
        await engine.dispose()


@contextmanager
def _explained(url: "URL", option: str) -> Iterator[None]:
    from sqlalchemy.exc import DBAPIError

    from mscr.connections.diagnosis import Service, diagnose
    from mscr.connections.urls.database import name_of

    try:
        yield
    except (DBAPIError, OSError) as error:
        found = diagnose(error, Service(name_of(url), option, migrate=BRING_UP))
        if found is None:
            raise
        raise Fault(f"cannot use {name_of(url)}: {found.cause}", found.remedy) from error


def _arguments(project: "Project", *, is_sqlite: bool) -> dict[str, Any]:
    if is_sqlite:
        return {"isolation_level": None}
    return {
        "timeout": project.get_settings().DATABASE_CONNECT_TIMEOUT_SECONDS,
        # A pooler may share server sessions, so prepared statements must not have names.
        "statement_cache_size": 0,
        "prepared_statement_cache_size": 0,
    }


def _prepare_sqlite(engine: Any, *, writes: bool) -> None:
    from sqlalchemy import event

    from mscr.db.search_index import add_search_function

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA busy_timeout = 10000")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute(f"PRAGMA query_only = {'OFF' if writes else 'ON'}")
        cursor.close()
        add_search_function(connection)

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


async def _require_newest(project: "Project", connection: "AsyncConnection", url: "URL") -> None:
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    from mscr.connections.urls.database import name_of
    from mscr.db.migrations import alembic_config
    from mscr.db.schema_check import find_faults

    current = await connection.run_sync(
        lambda sync: set(MigrationContext.configure(sync).get_current_heads())
    )
    newest = set(ScriptDirectory.from_config(alembic_config(project.root)).get_heads())
    if current != newest:
        where = f"at {', '.join(sorted(current))}" if current else "empty"
        detail = f"{name_of(url)} is {where}, not at {', '.join(sorted(newest))}"
        raise Fault(detail, "migrate it: alembic -x url=... upgrade head")
    faults = await connection.run_sync(find_faults, project.metadata(), project.search_columns)
    if fatal := [str(fault) for fault in faults if fault.is_fatal]:
        raise Fault(f"{name_of(url)}: {fatal[0]}", "see: python cli.py doctor")


async def _state(source: "AsyncConnection") -> object:
    """Return a version that changes with each write of another process to SQLite.

    Return None for PostgreSQL.
    """
    if source.dialect.name != "sqlite":
        return None
    return (await source.exec_driver_sql("PRAGMA data_version")).scalar()
