"""Replace stale PostgreSQL connections when they are taken from the pool."""

import asyncio
import weakref
from datetime import timedelta
from time import monotonic
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from mscr.connections.keepalive import keep_alive
from mscr.db.driver_connection import ENDINGS
from mscr.db.fair_pool import READY

# PostgreSQL's SQLSTATE for a write to a read-only server: the old primary, after a failover.
READ_ONLY_SQLSTATE: Final = "25006"

# A healthy server replies in a thousandth of this. A request waits this long at most once.
CHECK_DEADLINE: Final = timedelta(seconds=1)

_OPENED: Final = "opened"
_LAST_USE: Final = "last_use"


class ConnectionGuard:
    """Checks connections of asyncpg when they are taken from the pools of these engines.

    It replaces connections that are closed or older than `max_age`. Connections that were idle for
    longer than `check_after` get a test query first. The request that takes a connection has done
    nothing yet, so a restart of the server fails no request, and a failover fails one.
    """

    def __init__(
        self,
        writing: AsyncEngine,
        *reading: AsyncEngine,
        check_after: timedelta,
        max_age: timedelta,
        keepalive: timedelta,
    ) -> None:
        self._check_after = check_after.total_seconds()
        self._max_age = max_age.total_seconds()
        self._keepalive = keepalive
        # Connections last used before the first of these times, or opened before the second one,
        # are replaced.
        self._silent_since = 0.0
        self._failover_at = 0.0
        self._open: weakref.WeakSet[Any] = weakref.WeakSet()
        for engine in {writing, *reading}:
            event.listen(engine.sync_engine, "connect", self._on_connect)
            event.listen(engine.sync_engine, "checkin", self._on_checkin)
            event.listen(engine.sync_engine, "checkout", self._on_checkout)
        event.listen(writing.sync_engine, "handle_error", self._on_error)

    async def close(self, *, within: timedelta) -> None:
        """Close every connection. Cut those off that the server does not close within the time."""
        await asyncio.gather(*(_close(driver, within) for driver in self._open))

    def _on_connect(self, _: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
        entry.info[_OPENED] = monotonic()
        entry.info[READY] = self._is_ready
        driver: Any = entry.driver_connection
        self._open.add(driver)
        # asyncpg has no option for TCP keepalive.
        keep_alive(driver._transport.get_extra_info("socket"), after=self._keepalive)  # noqa: SLF001

    def _on_checkin(self, _: DBAPIConnection | None, entry: ConnectionPoolEntry) -> None:
        entry.info[_LAST_USE] = monotonic()

    def _is_ready(self, entry: ConnectionPoolEntry) -> bool:
        """Return whether `_on_checkout` neither replaces nor tests the connection now."""
        info, driver, now = entry.info, entry.driver_connection, monotonic()
        return (
            driver is not None
            and not driver.is_closed()
            and info[_OPENED] >= max(self._failover_at, ENDINGS.latest, now - self._max_age)
            and info.get(_LAST_USE, 0) > max(self._silent_since, now - self._check_after)
        )

    def _on_checkout(
        self, connection: Any, entry: ConnectionPoolEntry, _: PoolProxiedConnection
    ) -> None:
        info = entry.info
        driver: Any = entry.driver_connection
        # The driver's own state: no round trip.
        if driver.is_closed() or info[_OPENED] < max(self._failover_at, ENDINGS.latest):
            raise DisconnectionError
        last_use = info.get(_LAST_USE)
        if last_use is None:
            # The connection has just been opened.
            return
        now = monotonic()
        if now - info[_OPENED] > self._max_age:
            connection.run_async(lambda old: _close(old, CHECK_DEADLINE))
            raise DisconnectionError
        # If a connection was dead, those that were idle for longer are replaced without a check.
        if last_use > self._silent_since:
            if now - last_use <= self._check_after or connection.run_async(_answers):
                return
            self._silent_since = max(self._silent_since, last_use)
        driver.terminate()
        raise DisconnectionError

    def _on_error(self, context: ExceptionContext) -> None:
        # Connections to the old primary still work, but keep requests from reaching the new one.
        # Replace all that were opened before now.
        if getattr(context.original_exception, "sqlstate", None) == READ_ONLY_SQLSTATE:
            self._failover_at = monotonic()
            context.is_disconnect = True


async def _answers(driver: Any) -> bool:
    try:
        async with asyncio.timeout(CHECK_DEADLINE.total_seconds()):
            # execute() without arguments uses the simple protocol: it prepares no statement, which
            # a pooler might lose.
            await driver.execute("SELECT 1")
    except Exception:  # noqa: BLE001  # any error means that the connection is unusable
        return False
    return True


async def _close(driver: Any, within: timedelta) -> None:
    try:
        await driver.close(timeout=within.total_seconds())
    except Exception:  # noqa: BLE001  # on any error, the driver has cut the connection off
        return
