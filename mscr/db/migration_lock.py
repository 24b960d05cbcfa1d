"""One process migrates a database at a time; the others wait for a bounded time.

On PostgreSQL the lock is an advisory lock of a transaction, on a connection of its own that stays
open while the migration runs. The actors and steps:

1. Each process polls for the lock with `pg_try_advisory_xact_lock`, and rolls back in between.
2. The process that gets it becomes the holder. It migrates on a second connection, and uses the
   first one every second, so that no server, pooler or NAT drops it as idle.
3. If the lock's connection breaks all the same, the migration is cancelled: another process may
   have taken the lock.

A session-level lock would outlive its process behind a pooler in transaction mode. The migration's
own transaction cannot hold the lock, because CREATE INDEX CONCURRENTLY runs outside of one.
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
# Shorter waits are not logged.
NOTICE_AFTER_SECONDS: Final = 1.0
# Shorter than the idle timeouts of servers, poolers and NATs.
KEEPALIVE_SECONDS: Final = 1.0

_TAKE: Final = text("SELECT pg_try_advisory_xact_lock(:key)")
# Disable the timeouts of the server or the role that could end the lock before the migration. The
# names come from pg_settings, because servers before 17 lack the last one.
_HOLD: Final = text(
    "SELECT set_config(name, '0', true) FROM pg_settings WHERE name IN"
    " ('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')"
)
# Warning: not a SELECT, which would deadlock. It takes a snapshot, and CREATE INDEX CONCURRENTLY
# waits for snapshots to end: ours ends with the transaction, which waits for the migration.
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
    """The lock was not free in time, or was lost. The text is one line for the user."""


@asynccontextmanager
async def postgresql_lock(
    holder: AsyncConnection, key: int, *, patience: Callable[[], timedelta]
) -> AsyncIterator[None]:
    """Hold the lock on the connection `holder`, until the end of the block.

    Raise `MigrationLockError` if another process holds it for longer than `patience()`. If the lock
    is lost, cancel the block and raise the same error: another process may migrate by now.
    """

    async def attempt() -> str | None:
        if await holder.scalar(_TAKE, {"key": key}):
            await holder.execute(_HOLD)
            return None
        row = (await holder.execute(_HOLDER, {"key": key})).first()
        # End the transaction: CREATE INDEX CONCURRENTLY of the migrating process would wait for it.
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

    Raise `MigrationLockError` if another process holds it for longer than `patience()`.
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
    """Call `attempt` until it returns None. Any other result describes the holder of the lock."""
    started = time.monotonic()
    is_told = False
    # Poll. A statement that waits would hold a snapshot, and CREATE INDEX CONCURRENTLY of the
    # process that migrates would wait for its end (a deadlock).
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
    """Cancel the block if the holder's connection breaks, and raise `MigrationLockError`."""
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
    """Use the connection regularly until it breaks, then raise an error. It never returns."""
    broken = asyncio.Event()
    driver.add_termination_listener(lambda _: broken.set())
    while not broken.is_set():
        await driver.execute(_KEEPALIVE)
        with suppress(TimeoutError):
            async with asyncio.timeout(KEEPALIVE_SECONDS):
                await broken.wait()
    raise ConnectionError
