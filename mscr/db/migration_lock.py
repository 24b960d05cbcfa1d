"""One process migrates a database at a time; the others wait for a bounded time.

On PostgreSQL the lock belongs to a transaction that stays open while the migration runs. A lock of
a session would outlive its process behind a pooler of transactions. Migrations themselves cannot
hold it: CREATE INDEX CONCURRENTLY runs outside of any transaction.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 0.2
# A wait that is shorter is not worth a line.
NOTICE_AFTER_SECONDS: Final = 1.0
# More often than servers, poolers and NATs drop what is idle.
KEEPALIVE_SECONDS: Final = 1.0

_TAKE: Final = text("SELECT pg_try_advisory_xact_lock(:key)")
# No deadline of the server or of the role may end the lock before the migration. The names are
# looked up in pg_settings, as servers before 17 lack the last one.
_HOLD: Final = text(
    "SELECT set_config(name, '0', true) FROM pg_settings WHERE name IN"
    " ('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')"
)
# Warning: no SELECT. It would take a snapshot, for whose end CREATE INDEX CONCURRENTLY waits: until
# the end of our transaction, which waits for the migration.
_KEEPALIVE: Final = "SET LOCAL idle_in_transaction_session_timeout = 0"
_HOLDER: Final = text(
    "SELECT l.pid, a.application_name, a.client_addr FROM pg_locks l"
    " LEFT JOIN pg_stat_activity a ON a.pid = l.pid"
    " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1"
    " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND (CAST(l.classid AS bigint) << 32) | CAST(l.objid AS bigint) = :key"
)
_SQLITE_BUSY: Final = 5
# The extended codes of SQLite have more bits above these.
_SQLITE_CODE_BITS: Final = 0xFF


class MigrationLockError(Exception):
    """Raised when the lock was not free in time, or was lost; the text is one line for the user."""


@asynccontextmanager
async def postgresql_lock(
    holder: AsyncConnection, key: int, *, patience: Callable[[], timedelta]
) -> AsyncIterator[None]:
    """Hold the lock on a connection of its own, until the end of the block.

    Raises `MigrationLockError` when somebody else holds it for longer than `patience()`. When it is
    lost, the block is cancelled, and the error raised: another process may migrate by now.
    """

    async def attempt() -> str | None:
        if await holder.scalar(_TAKE, {"key": key}):
            await holder.execute(_HOLD)
            return None
        row = (await holder.execute(_HOLDER, {"key": key})).first()
        # Not kept open: CREATE INDEX CONCURRENTLY, in the process that migrates, would wait for it.
        await holder.rollback()
        return "another process that migrates" + (_described(*row) if row else "")

    await _until_taken(attempt, patience)
    async with _kept(holder):
        yield
    await holder.rollback()


async def take_sqlite_lock(
    connection: AsyncConnection, *, patience: Callable[[], timedelta]
) -> None:
    """Take the file's write lock, until the end of the caller's transaction.

    Raises `MigrationLockError` when somebody else holds it for longer than `patience()`.
    """
    await connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(POLL_SECONDS * 1000)}")

    async def attempt() -> str | None:
        try:
            await connection.exec_driver_sql("BEGIN IMMEDIATE")
        except OperationalError as error:
            code = getattr(error.orig, "sqlite_errorcode", 0) & _SQLITE_CODE_BITS
            if code != _SQLITE_BUSY:
                raise
            return f"another process that writes to {connection.engine.url.database}"
        return None

    await _until_taken(attempt, patience)


async def _until_taken(
    attempt: Callable[[], Awaitable[str | None]], patience: Callable[[], timedelta]
) -> None:
    """Make attempts until one returns None; what they return otherwise says who is waited for."""
    started = time.monotonic()
    is_told = False
    # Attempts poll, as no event reaches us from another process. A statement that waits would hold
    # a snapshot, for whose end CREATE INDEX CONCURRENTLY of the process that migrates would wait.
    while (other := await attempt()) is not None:
        waited, longest = time.monotonic() - started, patience().total_seconds()
        if waited > longest:
            raise MigrationLockError(f"gave up after {waited:.0f} s of waiting for {other}")
        if not is_told and waited > NOTICE_AFTER_SECONDS:
            log.warning("waiting for %s, for at most %.0f s", other, longest)
            is_told = True
        await asyncio.sleep(POLL_SECONDS)


def _described(pid: int, application: str | None, address: Any) -> str:
    place = f"from {address}" if address else "on its host"
    return f" (server process {pid}, {application or 'without a name'}, {place})"


@asynccontextmanager
async def _kept(holder: AsyncConnection) -> AsyncIterator[None]:
    """Cancel the block when the holder's connection breaks, and raise `MigrationLockError`."""
    migrating = asyncio.current_task()
    assert migrating is not None  # noqa: S101  # this is a coroutine
    driver = (await holder.get_raw_connection()).driver_connection
    keeper = asyncio.create_task(_keep_alive(driver))
    keeper.add_done_callback(lambda ended: ended.cancelled() or migrating.cancel())
    try:
        yield
    except asyncio.CancelledError:
        if not keeper.done() or migrating.uncancel():
            raise
        await holder.invalidate()
        lost = "the connection that held the migration lock broke: the migration was stopped"
        raise MigrationLockError(f"{lost}; run it again") from keeper.exception()
    finally:
        keeper.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await keeper


async def _keep_alive(driver: Any) -> None:
    """Use the connection now and then. Raises when it breaks."""
    broken = asyncio.Event()
    driver.add_termination_listener(lambda _: broken.set())
    while not broken.is_set():
        await driver.execute(_KEEPALIVE)
        with suppress(TimeoutError):
            async with asyncio.timeout(KEEPALIVE_SECONDS):
                await broken.wait()
    raise ConnectionError
