"""Moving: all rows of one database into another, such as from SQLite to PostgreSQL."""
# ruff: noqa: PLC0415

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.console import progress, remark, say
from app.cli.faults import BRING_UP, Fault

if TYPE_CHECKING:
    from sqlalchemy import URL
    from sqlalchemy.ext.asyncio import AsyncConnection

commands = typer.Typer()


@commands.command("copy-database")
def copy_database(
    source: Annotated[str, typer.Option("--from", help="The URL of the database to read.")],
    target: Annotated[
        str | None, typer.Option("--to", help="The URL of the one to fill.  [DATABASE_URL]")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, max=100_000, help="Rows in one statement.")] = 1000,
) -> None:
    """Copy all rows into a migrated, empty database of either kind: everything or nothing."""
    from app.core.config import get_settings
    from app.core.server_urls.database import name_of

    source_url = _read_url(source, "--from")
    # An empty one is refused: most likely, a variable of the shell is not set.
    target_url = get_settings().database_url if target is None else _read_url(target, "--to")
    if source_url == target_url:
        raise Fault("--from and --to are the same database", "name another one")
    _require_file(source_url)
    with progress("copying") as advance:
        counts, is_stale = asyncio.run(_copy(source_url, target_url, batch, advance))
    for table, count in counts.items():
        say(f"copied {count} rows of {table}")
    say(f"{name_of(target_url)} has all rows of {name_of(source_url)}")
    if is_stale:
        remark("the source was written to meanwhile: what came after the start is not copied")


def _read_url(text: str, option: str) -> "URL":
    from app.core.config import GOVERNED
    from app.core.server_urls.database import read_database_url
    from app.core.server_urls.parts import AddressError

    try:
        return read_database_url(text, root=Path.cwd(), governed=GOVERNED)
    except AddressError as error:
        raise Fault(f"{option}: {error}") from error


def _require_file(url: "URL") -> None:
    # Connecting would create it.
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).is_file():
        raise Fault(f"SQLite {url.database} does not exist", "name the database to read")


async def _copy(
    source_url: "URL", target_url: "URL", batch: int, advance: Callable[[int], None]
) -> tuple[dict[str, int], bool]:
    from app.db.row_copy import CopyError, copy_rows
    from app.models import Base

    async with AsyncExitStack() as stack:
        source = await stack.enter_async_context(_connection(source_url, "--from", writes=False))
        target = await stack.enter_async_context(_connection(target_url, "--to", writes=True))
        with _explained(source_url, "--from"):
            await _require_newest(source, source_url)
            before = await _state(source)
        with _explained(target_url, "--to"):
            await _require_newest(target, target_url)
            try:
                counts = await copy_rows(
                    source, target, Base.metadata, batch=batch, on_rows=advance
                )
            except CopyError as error:
                raise Fault(str(error), "nothing was copied") from error
            await target.commit()
        await source.rollback()
        return counts, await _state(source) != before


@asynccontextmanager
async def _connection(url: "URL", option: str, *, writes: bool) -> AsyncIterator["AsyncConnection"]:
    """Open a connection of its own, without the deadlines of requests, in a transaction."""
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    from app.core.server_urls.database import connection_of

    is_sqlite = url.get_backend_name() == "sqlite"
    address, arguments = connection_of(url, defaults=_arguments(is_sqlite=is_sqlite))
    engine = create_async_engine(
        address,
        poolclass=NullPool,
        connect_args=arguments,
        hide_parameters=True,
        # One snapshot: what is written meanwhile is not half in it.
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

    from app.core.diagnosis import Service, diagnose
    from app.core.server_urls.database import name_of

    try:
        yield
    except (DBAPIError, OSError) as error:
        found = diagnose(error, Service(name_of(url), option, migrate=BRING_UP))
        if found is None:
            raise
        raise Fault(f"cannot use {name_of(url)}: {found.cause}", found.remedy) from error


def _arguments(*, is_sqlite: bool) -> dict[str, Any]:
    from app.core.config import get_settings

    if is_sqlite:
        return {"isolation_level": None}
    return {
        "timeout": get_settings().DATABASE_CONNECT_TIMEOUT_SECONDS,
        # A pooler may share sessions: nothing is prepared under a name.
        "statement_cache_size": 0,
        "prepared_statement_cache_size": 0,
    }


def _prepare_sqlite(engine: Any, *, writes: bool) -> None:
    from sqlalchemy import event

    from app.db.search_index import add_search_function

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


async def _require_newest(connection: "AsyncConnection", url: "URL") -> None:
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    from app.core.server_urls.database import name_of
    from app.db.init_db import alembic_config
    from app.db.schema_check import find_faults
    from app.db.search_index import search_columns
    from app.models import Base

    current = await connection.run_sync(
        lambda sync: set(MigrationContext.configure(sync).get_current_heads())
    )
    newest = set(ScriptDirectory.from_config(alembic_config()).get_heads())
    if current != newest:
        where = f"at {', '.join(sorted(current))}" if current else "empty"
        detail = f"{name_of(url)} is {where}, not at {', '.join(sorted(newest))}"
        raise Fault(detail, "migrate it: alembic -x url=... upgrade head")
    faults = await connection.run_sync(find_faults, Base.metadata, search_columns)
    if fatal := [str(fault) for fault in faults if fault.is_fatal]:
        raise Fault(f"{name_of(url)}: {fatal[0]}", "see: python cli.py doctor")


async def _state(source: "AsyncConnection") -> object:
    """Return what changes with every write of others to SQLite; of PostgreSQL, nothing."""
    if source.dialect.name != "sqlite":
        return None
    return (await source.exec_driver_sql("PRAGMA data_version")).scalar()
