"""Engines and sessions: one pool to write with, and one to read with in autocommit."""

import time
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DataError, DisconnectionError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection, PoolResetState
from starlette.requests import HTTPConnection

from app.core.config import Settings, get_settings
from app.core.database_errors import UnreachableError
from app.core.pooler import Pooler
from app.core.second_try import note_session
from app.core.server_urls.database import connection_of
from app.core.single_flight import SingleFlight
from app.db.fair_pool import FairPool, FairReadPool
from app.db.own_writes import count_writes, end
from app.db.schema_check import SchemaCheck, SchemaState
from app.db.search_index import add_search_function, search_columns
from app.db.session_info import COMMITTED
from app.db.stale_connections import ConnectionGuard
from app.models import Base

# PostgreSQL's SQLSTATE of a write to a server that is read-only: the old primary, after a failover.
READ_ONLY_SQLSTATE: Final = "25006"
# How long a server has for a goodbye, unless the caller has another bound.
CLOSING_TIME: Final = timedelta(seconds=2)


class NotedSession(Session):
    """A session that notes in its `info` that it committed."""


@event.listens_for(NotedSession, "after_commit")
def _note_commit(session: Session) -> None:
    # The end of a savepoint is no commit.
    if not session.in_nested_transaction():
        session.info[COMMITTED] = True


class Database:
    """The engines and session factories that one configuration asks for. Connects when used.

    `sessions` write. `read_sessions` read the primary in autocommit: what must be true now.
    `replica_sessions` read where reads may go, which can lag behind; `open_read_session` of
    `own_writes` chooses between the two. `probe_sessions` are for health alone: one connection
    that no request can use up, with one `probe` at a time.
    """

    def __init__(self, settings: Settings) -> None:
        replica = settings.DATABASE_REPLICA_URL
        self.engine = _create_engine(settings, settings.database_url, read_only=False)
        self.read_engine = _create_engine(settings, settings.database_url, read_only=True)
        self.replica_engine = self.read_engine
        self.has_replica = replica is not None
        self.replica_rests_until = 0.0
        if replica is not None:
            replica_url = make_url(replica)
            self.replica_engine = _create_engine(settings, replica_url, read_only=True)
        self.probe: SingleFlight[SchemaState] = SingleFlight()
        self.schema = SchemaCheck(Base.metadata, search_columns)
        self.probe_engine = _create_engine(
            settings, settings.database_url, read_only=True, pool_size=1
        )
        self._guard: ConnectionGuard | None = None
        if not settings.is_sqlite:
            _renew_useless_connections(*self._engines)
            self._guard = ConnectionGuard(
                self._engines,
                check_after=timedelta(seconds=settings.DATABASE_IDLE_CHECK_SECONDS),
                max_age=timedelta(seconds=settings.DATABASE_POOL_RECYCLE_SECONDS),
                keepalive=timedelta(seconds=settings.TCP_KEEPALIVE_SECONDS),
            )
        self.sessions = async_sessionmaker(
            self.engine, sync_session_class=NotedSession, expire_on_commit=False
        )
        self.read_sessions = async_sessionmaker(self.read_engine, expire_on_commit=False)
        self.replica_sessions = async_sessionmaker(self.replica_engine, expire_on_commit=False)
        self.probe_sessions = async_sessionmaker(self.probe_engine, expire_on_commit=False)

    @property
    def _engines(self) -> list[AsyncEngine]:
        # Each once: without a replica, its engine is that for reading.
        engines = (self.engine, self.read_engine, self.replica_engine, self.probe_engine)
        return list(dict.fromkeys(engines))

    async def close(self, *, within: timedelta = CLOSING_TIME) -> None:
        """Close all connections; after `within`, without waiting for the server."""
        await self.probe.close()
        if self._guard is not None:
            await self._guard.close(within=within)
        for engine in self._engines:
            await engine.dispose()


def _create_engine(
    settings: Settings, url: URL, *, read_only: bool, pool_size: int | None = None
) -> AsyncEngine:
    sqlite = url.get_backend_name() == "sqlite"
    # Through a pooler of transactions, deadlines and read-only mode come with BEGIN.
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
        # No overflow: a request that finds the pool empty waits a bounded time, then gets a 503.
        # The result of a probe is shared, so a probe goes on when one of its clients is gone.
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
        from app.db.poolers import report_shared_sessions  # noqa: PLC0415  # as above

        report_shared_sessions(
            engine.sync_engine, settings.DATABASE_POOLER, setting="DATABASE_POOLER"
        )
    return engine


def _postgresql_arguments(settings: Settings, *, read_only: bool) -> dict[str, Any]:
    def milliseconds(seconds: float) -> str:
        return str(int(seconds * 1000))

    # Loads the driver, which nobody needs on SQLite.
    from app.db.poolers import pooler_arguments  # noqa: PLC0415

    idle_timeout = settings.DATABASE_IDLE_TRANSACTION_TIMEOUT_SECONDS
    deadlines = {
        "statement_timeout": milliseconds(settings.DATABASE_STATEMENT_TIMEOUT_SECONDS),
        "lock_timeout": milliseconds(settings.DATABASE_LOCK_TIMEOUT_SECONDS),
        "idle_in_transaction_session_timeout": milliseconds(idle_timeout),
    }
    return {
        "timeout": settings.DATABASE_CONNECT_TIMEOUT_SECONDS,
        # The server's own deadline is no help when it, or the network, falls silent.
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
    import asyncpg  # noqa: PLC0415  # who runs on SQLite need not load it

    try:
        return await asyncpg.connect(*args, **kwargs)
    except OSError as error:
        # An unknown host or a missing socket says so in other classes than a refused connection.
        raise UnreachableError("PostgreSQL cannot be reached") from error


def _renew_useless_connections(writing: AsyncEngine, *reading: AsyncEngine) -> None:
    """Have the pools replace connections of no use before a request meets them.

    So a restart of the server costs no request, and a failover costs one.
    """
    from app.db.driver_connection import ENDINGS  # noqa: PLC0415  # loads the driver

    trusted_since = 0.0

    def note_birth(_: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
        entry.info["born"] = time.monotonic()

    def refuse_useless(
        _: DBAPIConnection, entry: ConnectionPoolEntry, __: PoolProxiedConnection
    ) -> None:
        driver: Any = entry.driver_connection
        # The driver knows without asking the server: this is no round trip.
        if driver.is_closed() or entry.info["born"] < max(trusted_since, ENDINGS.latest):
            raise DisconnectionError

    def notice_failover(context: ExceptionContext) -> None:
        nonlocal trusted_since
        # Connections to the old primary stay good; with them, nobody would reach the new one.
        if getattr(context.original_exception, "sqlstate", None) == READ_ONLY_SQLSTATE:
            trusted_since = time.monotonic()
            context.is_disconnect = True

    for engine in {writing, *reading}:
        event.listen(engine.sync_engine, "connect", note_birth)
        event.listen(engine.sync_engine, "checkout", refuse_useless)
    event.listen(writing.sync_engine, "handle_error", notice_failover)


def _sqlite_arguments() -> dict[str, Any]:
    # The driver's own transactions leak rows out of a rolled-back savepoint; we BEGIN ourselves.
    return {"isolation_level": None}


def _prepare_sqlite(engine: AsyncEngine, settings: Settings, *, read_only: bool) -> None:
    busy_timeout = int(settings.DATABASE_LOCK_TIMEOUT_SECONDS * 1000)

    @event.listens_for(engine.sync_engine, "connect")
    def set_up(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        try:
            _set_pragmas(connection, busy_timeout=busy_timeout, read_only=read_only)
            add_search_function(connection)
        except Exception:
            # The pool does not: the driver's thread would stay.
            connection.close()
            raise

    event.listen(engine.sync_engine, "handle_error", _wrap_unfit_value)

    if not read_only:

        @event.listens_for(engine.sync_engine, "begin")
        def begin_immediate(connection: Any) -> None:
            # A transaction that reads first and writes later fails at once when another one wrote
            # in between, whatever the busy timeout. Taking the lock at BEGIN waits instead.
            connection.exec_driver_sql("BEGIN IMMEDIATE")

        @event.listens_for(engine.sync_engine, "reset")
        def end_refused_commit(
            connection: Any, _: ConnectionPoolEntry, state: PoolResetState
        ) -> None:
            # SQLite keeps a transaction, and its lock, of which it refused the COMMIT: a deferred
            # constraint failed. SQLAlchemy takes it for ended.
            if state.asyncio_safe and connection.driver_connection.in_transaction:
                connection.rollback()

        @event.listens_for(engine.sync_engine, "close")
        def end_transaction(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
            # Closing alone does not, while anything of a cancelled request still refers to one of
            # its cursors: the write lock would stay.
            connection.rollback()


def _set_pragmas(connection: DBAPIConnection, *, busy_timeout: int, read_only: bool) -> None:
    cursor = connection.cursor()
    # First of all: changing the journal mode may itself meet a lock.
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


# The process's own database, for the application, commands and scripts.
settings = get_settings()
database = Database(settings)
engine = database.engine
AsyncSessionLocal = database.sessions


async def get_db(connection: HTTPConnection) -> AsyncGenerator[AsyncSession, None]:
    """The request's session to write with. What is not committed by a service is rolled back."""
    database: Database = connection.app.state.database
    session = database.sessions()
    note_session(connection, session.info)
    if database.has_replica:
        count_writes(session, connection.state)
    try:
        yield session
    finally:
        await end(session)


async def get_read_db(connection: HTTPConnection) -> AsyncGenerator[AsyncSession, None]:
    """A session that cannot write: autocommit, no transaction's round trips, maybe a replica.

    For routes without a caller. With one, `ReadDbSession` also sees what the caller wrote.
    """
    async with connection.app.state.database.replica_sessions() as session:
        yield session
