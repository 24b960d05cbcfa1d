"""How Alembic reaches the database: by the application's settings, one process at a time."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from alembic.util import CommandError
from sqlalchemy import Connection, DefaultClause, False_, True_, event, pool
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.sql.functions import current_timestamp

from app.core.backing_services import DATABASE
from app.core.config import GOVERNED, get_settings
from app.core.server_urls.database import connection_of, name_of, read_database_url
from app.core.server_urls.parts import AddressError
from app.db.driver_threads import threads_ended
from app.db.migrated_names import MigratedNames
from app.db.migration_faults import in_one_line
from app.db.migration_lock import MigrationLockError, postgresql_lock, take_sqlite_lock
from app.db.search_index import add_search_function, is_search_index
from app.models import Base
from app.models.base import EncryptedText, ExactNumeric, UTCDateTime

# Any constant will do, as long as every replica that migrates takes the same lock.
ADVISORY_LOCK: Final = 7_236_512_094
# By which a process that waits is told who migrates.
APPLICATION_NAME: Final = "alembic"

# Alembic would write them in the dialect of the database at hand: 0 is no boolean to PostgreSQL.
PORTABLE_DEFAULTS: Final[dict[type, str]] = {
    False_: "sa.false()",
    True_: "sa.true()",
    current_timestamp: "sa.func.current_timestamp()",
}


def render_item(kind: str, obj: Any, _: AutogenContext) -> str | Literal[False]:
    """Write migrations that stand alone and run on both databases, wherever they were made."""
    if kind == "type" and isinstance(obj, UTCDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(obj, ExactNumeric):
        return f'sa.Numeric({obj.precision}, {obj.scale}).with_variant(sa.BigInteger(), "sqlite")'
    if kind == "type" and isinstance(obj, EncryptedText):
        return "sa.Text()"
    if kind == "server_default" and isinstance(obj, DefaultClause):
        return PORTABLE_DEFAULTS.get(type(obj.arg), False)
    return False


@cache
def migrated_names() -> MigratedNames:
    history = reversed(list(context.script.walk_revisions()))
    return MigratedNames(Path(migration.path) for migration in history)


def include_name(name: str | None, kind: str, parents: Any) -> bool:
    """Leave alone what no migration of ours has made: Alembic would drop it."""
    if is_search_index(name, kind):
        return False
    return migrated_names().is_ours(name, kind, parents, Base.metadata)


def database_url() -> URL:
    """`-x url=...` on the command line, `sqlalchemy.url` of a caller, else DATABASE_URL."""
    given = context.get_x_argument(as_dictionary=True).get("url")
    configured = context.config.get_main_option("sqlalchemy.url")
    if given == "":
        # A variable of the shell that is not set: another database must not take its place.
        raise CommandError("-x url: it is empty; give a URL, or leave it out for DATABASE_URL")
    if not (url := given or configured):
        return get_settings().database_url
    if context.is_offline_mode():
        # Only the kind of the database counts: neither a host nor a name is needed.
        return make_url(url.replace("postgres://", "postgresql://", 1))
    try:
        return read_database_url(url, root=Path.cwd(), governed=GOVERNED)
    except AddressError as error:
        raise CommandError(f"{'-x url' if given else 'sqlalchemy.url'}: {error}") from None


def configure(**target: Any) -> None:
    context.configure(
        target_metadata=Base.metadata,
        render_item=render_item,
        include_name=include_name,
        compare_type=True,
        compare_server_default=False,
        # ALTERs that SQLite lacks are done by copying the table there, plainly on PostgreSQL.
        render_as_batch=True,
        **target,
    )


def run_offline() -> None:
    """Print the SQL instead of running it (`alembic upgrade head --sql`)."""
    configure(url=database_url(), literal_binds=True, dialect_opts={"paramstyle": "named"})
    with context.begin_transaction():
        context.run_migrations()


def prepare(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        add_search_function(connection.connection.dbapi_connection)
    configure(connection=connection, transaction_per_migration=True)
    if connection.dialect.name == "sqlite":
        # Nothing there needs to be outside of a transaction, which would give the write lock away.
        setattr(context.get_context(), "autocommit_block", nullcontext)  # noqa: B010  # mypy's way


def run(_: Connection) -> None:
    with context.begin_transaction():
        context.run_migrations()


def prepare_and_compare(connection: Connection) -> bool:
    """Return whether the command changes the schema, and the database is not there yet."""
    prepare(connection)
    migrations = context.get_context()
    if "destination_rev" not in migrations.opts:
        # It only reads, as `current` and `check` do.
        return False
    steps = migrations.opts["fn"](migrations.get_current_heads(), migrations)
    return next(iter(steps), None) is not None


def patience() -> timedelta:
    return timedelta(seconds=get_settings().DATABASE_MIGRATION_LOCK_TIMEOUT_SECONDS)


async def run_on_sqlite(engine: AsyncEngine) -> None:
    # Begun before Alembic looks: it takes the transaction for ours, and does not commit it.
    async with engine.connect() as connection, connection.begin():
        if await connection.run_sync(prepare_and_compare):
            await take_sqlite_lock(connection, patience=patience)
        await connection.run_sync(run)


async def run_on_postgresql(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        event.listen(connection.sync_connection, "begin", bound_waits)
        is_locked = await connection.run_sync(prepare_and_compare)
        # Idle in a transaction, this process would block the one that migrates.
        await connection.rollback()
        async with locked(engine) if is_locked else nullcontext():
            await require_connection(connection)
            await connection.run_sync(run)
            await connection.commit()


@asynccontextmanager
async def locked(engine: AsyncEngine) -> AsyncIterator[None]:
    async with (
        engine.connect() as holder,
        postgresql_lock(holder, ADVISORY_LOCK, patience=patience),
    ):
        yield


def bound_waits(connection: Connection) -> None:
    """Let no statement wait long for a lock: whoever comes after it waits in the same queue.

    An autocommit block is no transaction: CREATE INDEX CONCURRENTLY, which makes nobody wait, may
    itself wait for others as long as it takes.
    """
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        milliseconds = int(get_settings().DATABASE_LOCK_TIMEOUT_SECONDS * 1000)
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {milliseconds}")


def pooled() -> dict[str, Any]:
    # Loads the driver, which nobody needs on SQLite.
    from app.db.poolers import unprepared_arguments  # noqa: PLC0415

    return unprepared_arguments(
        get_settings().DATABASE_POOLER,
        application_name=APPLICATION_NAME,
        setting="DATABASE_POOLER",
    )


async def require_connection(connection: AsyncConnection) -> None:
    """Raises `MigrationLockError` if the pooler has none for us beside that of the lock."""
    try:
        async with asyncio.timeout(get_settings().DATABASE_CONNECT_TIMEOUT_SECONDS):
            await connection.exec_driver_sql("SELECT 1")
    except TimeoutError:
        remedy = "a pooler needs a default_pool_size of 2 or more"
        raise MigrationLockError(f"no second connection to the server was free: {remedy}") from None
    await connection.rollback()


async def run_online() -> None:
    url = database_url()
    sqlite = url.get_backend_name() == "sqlite"
    # The driver must not begin transactions of its own on SQLite: the lock above would be lost.
    # Only to connect has a deadline: a migration takes as long as it takes.
    arguments: dict[str, Any] = (
        {"isolation_level": None}
        if sqlite
        else {
            "timeout": get_settings().DATABASE_CONNECT_TIMEOUT_SECONDS,
            **pooled(),
        }
    )
    address, arguments = connection_of(url, defaults=arguments)
    engine = create_async_engine(address, poolclass=pool.NullPool, connect_args=arguments)
    try:
        async with threads_ended():
            await (run_on_sqlite if sqlite else run_on_postgresql)(engine)
    finally:
        await engine.dispose()


def report_progress() -> None:
    """Let the `alembic` command say what it does; callers in Python report themselves."""
    log = logging.getLogger("alembic.runtime.migration")
    log.setLevel(logging.INFO)
    log.addHandler(logging.StreamHandler())


if context.config.cmd_opts is not None:
    report_progress()
if context.is_offline_mode():
    run_offline()
elif context.config.cmd_opts is None:
    asyncio.run(run_online())
else:
    with in_one_line(DATABASE, where=name_of(database_url())):
        asyncio.run(run_online())
