"""PostgreSQL connections that died without a word: a firewall or a NAT has forgotten them."""

import asyncio
import weakref
from collections.abc import Iterable
from datetime import timedelta
from time import monotonic
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from app.core.keepalive import keep_alive

# A server that answers does so in a thousandth of it; a request waits for it at most once.
CHECK_DEADLINE: Final = timedelta(seconds=1)

_OPENED: Final = "opened"
_LAST_USE: Final = "last_use"


class ConnectionGuard:
    """Watches the connections that asyncpg makes for the pools of `engines`.

    A connection that was idle for longer than `check_after`, or is older than `max_age`, is checked
    or replaced when it is taken from the pool: the request that takes it has done nothing yet.
    """

    def __init__(
        self,
        engines: Iterable[AsyncEngine],
        *,
        check_after: timedelta,
        max_age: timedelta,
        keepalive: timedelta,
    ) -> None:
        self._check_after = check_after.total_seconds()
        self._max_age = max_age.total_seconds()
        self._keepalive = keepalive
        self._silent_since = 0.0
        self._open: weakref.WeakSet[Any] = weakref.WeakSet()
        for engine in engines:
            event.listen(engine.sync_engine, "connect", self._on_connect)
            event.listen(engine.sync_engine, "checkin", self._on_checkin)
            event.listen(engine.sync_engine, "checkout", self._on_checkout)

    async def close(self, *, within: timedelta) -> None:
        """Close every connection; one that the server does not answer is cut off."""
        await asyncio.gather(*(_close(driver, within) for driver in self._open))

    def _on_connect(self, _: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
        entry.info[_OPENED] = monotonic()
        driver: Any = entry.driver_connection
        self._open.add(driver)
        # The driver has no option for it.
        keep_alive(driver._transport.get_extra_info("socket"), after=self._keepalive)  # noqa: SLF001

    def _on_checkin(self, _: DBAPIConnection | None, entry: ConnectionPoolEntry) -> None:
        entry.info[_LAST_USE] = monotonic()

    def _on_checkout(
        self, connection: Any, entry: ConnectionPoolEntry, _: PoolProxiedConnection
    ) -> None:
        now = monotonic()
        last_use = entry.info.get(_LAST_USE)
        if last_use is None:
            # It has just been made.
            return
        if now - entry.info[_OPENED] > self._max_age:
            connection.run_async(lambda driver: _close(driver, CHECK_DEADLINE))
            raise DisconnectionError
        # Those that were idle for even longer than one that was dead are not worth a check each.
        if last_use > self._silent_since:
            if now - last_use <= self._check_after or connection.run_async(_answers):
                return
            self._silent_since = max(self._silent_since, last_use)
        entry.driver_connection.terminate()  # type: ignore[union-attr]  # it is connected
        raise DisconnectionError


async def _answers(driver: Any) -> bool:
    try:
        async with asyncio.timeout(CHECK_DEADLINE.total_seconds()):
            # In the simple protocol: nothing is prepared, which a pooler might not keep.
            await driver.execute("SELECT 1")
    except Exception:  # noqa: BLE001  # whatever it is, the connection is of no use
        return False
    return True


async def _close(driver: Any, within: timedelta) -> None:
    try:
        await driver.close(timeout=within.total_seconds())
    except Exception:  # noqa: BLE001  # the driver has cut it off, whatever the reason
        return
