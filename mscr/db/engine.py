"""Create engines from the settings: pools, timeouts, and the set-up of new connections."""

from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DataError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, PoolResetState

from mscr.connections.pooler import Pooler
from mscr.connections.urls.database import connection_of
from mscr.core.config import Settings
from mscr.db.database_errors import UnreachableError
from mscr.db.fair_pool import FairPool, FairReadPool
from mscr.db.search_index import add_search_function


def create_engine(
    settings: Settings, url: URL, *, read_only: bool, pool_size: int | None = None
) -> AsyncEngine:
    sqlite = url.get_backend_name() == "sqlite"
    # With transaction pooling, timeouts and read-only mode are sent with BEGIN: no autocommit.
    autocommit = read_only and (sqlite or settings.DATABASE_POOLER is not Pooler.TRANSACTION)
    options: dict[str, Any] = {"isolation_level": "AUTOCOMMIT"} if autocommit else {}
    address, arguments = connection_of(
        url,
        read_only=read_only,
        defaults=_sqlite_arguments()
        if sqlite
        else _postgresql_arguments(settings, read_only=read_only),
    )
    engine = create_async_engine(
        address,
        echo=settings.DEBUG,
        hide_parameters=not settings.DEBUG,
        # No overflow: a request that finds the pool empty waits a bounded time, then gets 503.
        # A probe's result is shared (single flight): it must go on when one of its clients is gone.
        poolclass=FairReadPool if read_only and pool_size is None else FairPool,
        pool_size=pool_size or settings.DATABASE_POOL_SIZE,
        max_overflow=0,
        pool_timeout=settings.DATABASE_POOL_TIMEOUT_SECONDS,
        pool_use_lifo=True,
        connect_args=arguments,
        **options,
    )
    if sqlite:
        _prepare_sqlite(engine, settings, read_only=read_only)
    else:
        from mscr.db.poolers import report_shared_sessions  # noqa: PLC0415  # as above

        report_shared_sessions(
            engine.sync_engine, settings.DATABASE_POOLER, setting="DATABASE_POOLER"
        )
    return engine


def _postgresql_arguments(settings: Settings, *, read_only: bool) -> dict[str, Any]:
    def milliseconds(seconds: float) -> str:
        return str(int(seconds * 1000))

    # Imported late: it loads asyncpg, which SQLite does not need.
    from mscr.db.poolers import pooler_arguments  # noqa: PLC0415

    idle_timeout = settings.DATABASE_IDLE_TRANSACTION_TIMEOUT_SECONDS
    deadlines = {
        "statement_timeout": milliseconds(settings.DATABASE_STATEMENT_TIMEOUT_SECONDS),
        "lock_timeout": milliseconds(settings.DATABASE_LOCK_TIMEOUT_SECONDS),
        "idle_in_transaction_session_timeout": milliseconds(idle_timeout),
    }
    return {
        "timeout": settings.DATABASE_CONNECT_TIMEOUT_SECONDS,
        # The client's own timeout, for a server or network that falls silent: the server's
        # statement_timeout cannot reach us then.
        "command_timeout": settings.DATABASE_STATEMENT_TIMEOUT_SECONDS + 1,
        **pooler_arguments(
            settings.DATABASE_POOLER,
            deadlines,
            read_only=read_only,
            application_name=settings.APP_NAME,
            setting="DATABASE_POOLER",
            connect=_connect_postgresql,
        ),
    }


async def _connect_postgresql(*args: Any, **kwargs: Any) -> Any:
    import asyncpg  # noqa: PLC0415  # SQLite does not need it

    try:
        return await asyncpg.connect(*args, **kwargs)
    except OSError as error:
        # A refused connection, an unknown host and a missing socket raise different classes.
        raise UnreachableError("PostgreSQL cannot be reached") from error


def _sqlite_arguments() -> dict[str, Any]:
    # The driver's implicit transactions leak rows out of a rolled-back savepoint. Disable them:
    # BEGIN is sent explicitly.
    return {"isolation_level": None}


def _prepare_sqlite(engine: AsyncEngine, settings: Settings, *, read_only: bool) -> None:
    busy_timeout = int(settings.DATABASE_LOCK_TIMEOUT_SECONDS * 1000)

    @event.listens_for(engine.sync_engine, "connect")
    def set_up(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        try:
            _set_pragmas(connection, busy_timeout=busy_timeout, read_only=read_only)
            add_search_function(connection)
        except Exception:
            # The pool does not close it, and the driver's thread would stay.
            connection.close()
            raise

    event.listen(engine.sync_engine, "handle_error", _wrap_unfit_value)

    if not read_only:

        @event.listens_for(engine.sync_engine, "begin")
        def begin_immediate(connection: Any) -> None:
            # Take the write lock at BEGIN, and wait for it. A deferred transaction that reads first
            # and writes later fails at once if another one wrote in between, without regard to the
            # busy timeout.
            connection.exec_driver_sql("BEGIN IMMEDIATE")

        @event.listens_for(engine.sync_engine, "reset")
        def end_refused_commit(
            connection: Any, _: ConnectionPoolEntry, state: PoolResetState
        ) -> None:
            # If SQLite refuses a COMMIT because a deferred constraint fails, the transaction and
            # its lock stay open. SQLAlchemy counts it as ended, so roll back here.
            if state.asyncio_safe and connection.driver_connection.in_transaction:
                connection.rollback()

        @event.listens_for(engine.sync_engine, "close")
        def end_transaction(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
            # Closing alone does not end it while a cancelled request still refers to one of its
            # cursors: the write lock would stay.
            connection.rollback()


def _set_pragmas(connection: DBAPIConnection, *, busy_timeout: int, read_only: bool) -> None:
    cursor = connection.cursor()
    # The busy timeout comes first: changing the journal mode may itself wait for a lock.
    cursor.execute(f"PRAGMA busy_timeout = {busy_timeout}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute(f"PRAGMA query_only = {'ON' if read_only else 'OFF'}")
    cursor.close()


def _wrap_unfit_value(context: ExceptionContext) -> None:
    """Raise `DataError` for an integer beyond 64 bits and for a lone surrogate, as on PostgreSQL.

    SQLite's driver raises neither as an error of the DBAPI, so SQLAlchemy would not wrap them.
    """
    if isinstance(context.original_exception, OverflowError | UnicodeEncodeError):
        raise DataError(context.statement, None, context.original_exception)
