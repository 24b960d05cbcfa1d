"""Alembic's environment (`env.py`): connect by the settings, and migrate one process at a time."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection, MetaData, event, pool
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from mscr.connections.backing_services import DATABASE
from mscr.connections.urls.database import connection_of, name_of, read_database_url
from mscr.connections.urls.parts import AddressError
from mscr.core.config import Settings
from mscr.core.settings_fields import GOVERNED
from mscr.db.compared_checks import PLUGIN as CHECKS
from mscr.db.driver_threads import threads_ended
from mscr.db.kept_triggers import keep_triggers
from mscr.db.migrated_checks import add_steps
from mscr.db.migrated_names import MigratedNames
from mscr.db.migration_faults import in_one_line
from mscr.db.migration_lock import MigrationLockError, postgresql_lock, take_sqlite_lock
from mscr.db.search_index import add_search_function, is_search_index

# An arbitrary constant. Every process that migrates must take the same lock.
ADVISORY_LOCK: Final = 7_236_512_094
# A process that waits for the lock reports its holder by this name.
APPLICATION_NAME: Final = "alembic"


class MigrationEnvironment:
    """The work of Alembic's `env.py`, for the tables and settings of one application."""

    def __init__(
        self,
        metadata: MetaData,
        get_settings: Callable[[], Settings],
        *,
        render_item: Callable[..., Any],
    ) -> None:
        """`render_item` is Alembic's: it spells types and defaults in new migrations."""
        self._metadata = metadata
        self._get_settings = get_settings
        self._render_item = render_item

    def run(self) -> None:
        """Run the command of Alembic that is being executed."""
        if context.config.cmd_opts is not None:
            _report_progress()
        if context.is_offline_mode():
            self._run_offline()
        elif context.config.cmd_opts is None:
            asyncio.run(self._run_online())
        else:
            with in_one_line(DATABASE, where=name_of(self._database_url())):
                asyncio.run(self._run_online())

    def _run_offline(self) -> None:
        """Print the SQL instead of running it (`alembic upgrade head --sql`)."""
        url = self._database_url()
        self._configure(url=url, literal_binds=True, dialect_opts={"paramstyle": "named"})
        with context.begin_transaction():
            context.run_migrations()

    async def _run_online(self) -> None:
        url = self._database_url()
        sqlite = url.get_backend_name() == "sqlite"
        # On SQLite, disable the driver's implicit transactions: they would release the lock.
        defaults = {"isolation_level": None} if sqlite else self._postgresql_arguments()
        address, arguments = connection_of(url, defaults=defaults)
        engine = create_async_engine(address, poolclass=pool.NullPool, connect_args=arguments)
        try:
            async with threads_ended():
                await (self._run_on_sqlite if sqlite else self._run_on_postgresql)(engine)
        finally:
            await engine.dispose()

    def _database_url(self) -> URL:
        """Return the URL of `-x url=...`, else the option `sqlalchemy.url`, else DATABASE_URL."""
        given = context.get_x_argument(as_dictionary=True).get("url")
        configured = context.config.get_main_option("sqlalchemy.url")
        if given == "":
            # An unset shell variable (`-x url=$URL`) must not select another database.
            raise CommandError("-x url: it is empty; give a URL, or leave it out for DATABASE_URL")
        if not (url := given or configured):
            return self._get_settings().database_url
        if context.is_offline_mode():
            # Offline, only the dialect matters: the URL needs neither a host nor a name.
            return make_url(url.replace("postgres://", "postgresql://", 1))
        try:
            return read_database_url(url, root=Path.cwd(), governed=GOVERNED)
        except AddressError as error:
            raise CommandError(f"{'-x url' if given else 'sqlalchemy.url'}: {error}") from None

    def _postgresql_arguments(self) -> dict[str, Any]:
        # Imported late: it loads asyncpg, which SQLite does not need.
        from mscr.db.poolers import unprepared_arguments  # noqa: PLC0415

        settings = self._get_settings()
        return {
            # Only connecting has a timeout: a migration may run for any time.
            "timeout": settings.DATABASE_CONNECT_TIMEOUT_SECONDS,
            **unprepared_arguments(
                settings.DATABASE_POOLER,
                application_name=APPLICATION_NAME,
                setting="DATABASE_POOLER",
            ),
        }

    async def _run_on_sqlite(self, engine: AsyncEngine) -> None:
        # Begin before Alembic does: it then leaves the transaction, and the COMMIT, to us.
        async with engine.connect() as connection, connection.begin():
            if await connection.run_sync(self._prepare_and_compare):
                await take_sqlite_lock(connection, patience=self._patience)
            await connection.run_sync(_run_migrations)

    async def _run_on_postgresql(self, engine: AsyncEngine) -> None:
        async with engine.connect() as connection:
            event.listen(connection.sync_connection, "begin", self._bound_waits)
            is_locked = await connection.run_sync(self._prepare_and_compare)
            # While this process waits for the lock, it must not be idle in a transaction: that
            # would block the process that migrates.
            await connection.rollback()
            async with self._locked(engine) if is_locked else nullcontext():
                await self._require_connection(connection)
                await connection.run_sync(_run_migrations)
                await connection.commit()

    def _prepare_and_compare(self, connection: Connection) -> bool:
        """Return whether the command has migrations to run on this database."""
        self._prepare(connection)
        migrations = context.get_context()
        if "destination_rev" not in migrations.opts:
            # Commands such as `current` and `check` only read.
            return False
        steps = migrations.opts["fn"](migrations.get_current_heads(), migrations)
        return next(iter(steps), None) is not None

    def _prepare(self, connection: Connection) -> None:
        if connection.dialect.name == "sqlite":
            add_search_function(connection.connection.dbapi_connection)
            keep_triggers(connection)
        self._configure(connection=connection, transaction_per_migration=True)
        if connection.dialect.name == "sqlite":
            # No statement of SQLite needs autocommit, and leaving the transaction would release the
            # write lock.
            setattr(context.get_context(), "autocommit_block", nullcontext)  # noqa: B010  # mypy's way

    def _configure(self, **target: Any) -> None:
        context.configure(
            target_metadata=self._metadata,
            render_item=self._render_item,
            include_name=self._include_name,
            compare_type=True,
            compare_server_default=False,
            # Batch mode copies the table for an ALTER that SQLite lacks. PostgreSQL gets the ALTER.
            render_as_batch=True,
            autogenerate_plugins=["alembic.autogenerate.*", CHECKS],
            process_revision_directives=add_steps,
            **target,
        )

    def _include_name(self, name: str | None, kind: str, parents: Any) -> bool:
        """Leave out objects that no migration of ours has created: Alembic would drop them."""
        if is_search_index(name, kind, self._metadata.tables):
            return False
        return self._migrated_names.is_ours(name, kind, parents, self._metadata)

    @cached_property
    def _migrated_names(self) -> MigratedNames:
        history = reversed(list(context.script.walk_revisions()))
        return MigratedNames(Path(migration.path) for migration in history)

    def _patience(self) -> timedelta:
        return timedelta(seconds=self._get_settings().DATABASE_MIGRATION_LOCK_TIMEOUT_SECONDS)

    @asynccontextmanager
    async def _locked(self, engine: AsyncEngine) -> AsyncIterator[None]:
        async with (
            engine.connect() as holder,
            postgresql_lock(holder, ADVISORY_LOCK, patience=self._patience),
        ):
            yield

    def _bound_waits(self, connection: Connection) -> None:
        """Set a lock timeout for each transaction: requests queue behind a DDL that waits.

        An autocommit block gets none: CREATE INDEX CONCURRENTLY blocks no requests, and may wait
        for other transactions for any time.
        """
        if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
            milliseconds = int(self._get_settings().DATABASE_LOCK_TIMEOUT_SECONDS * 1000)
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {milliseconds}")

    async def _require_connection(self, connection: AsyncConnection) -> None:
        """Raise `MigrationLockError` if the pooler has no second connection beside the lock's."""
        try:
            async with asyncio.timeout(self._get_settings().DATABASE_CONNECT_TIMEOUT_SECONDS):
                await connection.exec_driver_sql("SELECT 1")
        except TimeoutError:
            remedy = "a pooler needs a default_pool_size of 2 or more"
            detail = f"no second connection to the server was free: {remedy}"
            raise MigrationLockError(detail) from None
        await connection.rollback()


def _run_migrations(_: Connection) -> None:
    with context.begin_transaction():
        context.run_migrations()


def _report_progress() -> None:
    """Make the `alembic` command log its steps. Programs that call `upgrade` log for themselves."""
    log = logging.getLogger("alembic.runtime.migration")
    log.setLevel(logging.INFO)
    log.addHandler(logging.StreamHandler())
