"""A fair connection pool: no caller holds all connections, or waits behind another's requests."""

from typing import Any, Final

from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry, PoolProxiedConnection
from sqlalchemy.util import await_, greenlet_spawn

from mscr.db.caller import Caller, current_caller
from mscr.db.turnstile import NOBODY, Turnstile

# The key in a connection's `info` of a function that returns whether it can be used without a
# round trip before. Without one, it cannot.
READY: Final = "is_ready"


class FairPool(AsyncAdaptedQueuePool):
    """A connection pool with one waiting queue for each caller (`mscr.db.caller`).

    SQLAlchemy's pool has two faults. A new request may take a connection before the waiter that was
    woken up for it, which goes back to the end of the queue (starvation). And one caller's requests
    may hold all connections. Here, a request first passes the turnstile, which admits as many as
    there are connections. SQLAlchemy's queue only stores the free ones, and nobody waits there.
    """

    # Named like SQLAlchemy's loggers: by its module, it would log each disposal of a pool at the
    # application's level.
    _sqla_logger_namespace = "sqlalchemy.pool.FairPool"

    def __init__(self, creator: Any, *, pool_size: int, max_overflow: int, **options: Any) -> None:
        super().__init__(creator, pool_size, max_overflow, **options)
        self._turnstile: Final = Turnstile(pool_size + max_overflow)
        self._holders: Final[dict[ConnectionPoolEntry, str]] = {}
        # Set by `take` for the next call of `_do_get`, which SQLAlchemy makes at once: a
        # connection, or the key of a request that is past the turnstile.
        self._taken: ConnectionPoolEntry | None = None
        self._admitted: str | None = None

    async def take(self) -> PoolProxiedConnection:
        """Take a connection, as `AsyncEngine.raw_connection` does, at a fraction of its cost.

        A greenlet is needed only to open or check a connection: the system maps and unmaps a stack
        for each.
        """
        caller = current_caller()
        key = NOBODY if caller is None else caller.key
        if not self._turnstile.try_enter(key):
            await self._turn(key)
        if self.checkedin():
            self._taken = entry = self._take(caller, key)
            if self._is_ready(entry):
                return self.connect()
        else:
            self._admitted = key
        return await greenlet_spawn(self.connect)

    def _is_ready(self, entry: Any) -> bool:
        """Return whether SQLAlchemy and the listeners of its events need no round trip."""
        opened, is_ready = entry.last_connect_time, entry.info.get(READY)
        return (
            is_ready is not None
            # SQLAlchemy opens an invalidated connection anew.
            and opened >= max(self._invalidate_time, entry._soft_invalidate_time)  # noqa: SLF001  # not public
            and is_ready(entry)
        )

    def _do_get(self) -> ConnectionPoolEntry:
        entry, self._taken = self._taken, None
        if entry is not None:
            return entry
        key, self._admitted = self._admitted, None
        caller = current_caller()
        if key is None:
            key = NOBODY if caller is None else caller.key
            if not self._turnstile.try_enter(key):
                await_(self._turn(key))
        return self._take(caller, key)

    def _take(self, caller: Caller | None, key: str) -> ConnectionPoolEntry:
        """Take a connection for a request that is past the turnstile."""
        try:
            # Refuse a read whose client has disconnected.
            if caller is not None:
                self._begin(caller)
            # This does not wait: the turnstile admits no more requests than there are connections.
            entry = super()._do_get()
        except BaseException:
            # No connection was taken: pass the place on to the next request.
            self._turnstile.leave(key)
            raise
        self._holders[entry] = key
        return entry

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        # First the connection, then the place: the next request finds the connection in the queue.
        super()._do_return_conn(record)
        self._turnstile.leave(self._holders.pop(record))

    async def _turn(self, key: str) -> None:
        seconds = self._timeout
        try:
            await self._turnstile.wait(key, seconds=seconds)
        except TimeoutError:
            raise PoolTimeoutError(f"no connection became free in {seconds:g} s") from None

    def _begin(self, caller: Caller) -> None:
        caller.write()


async def take_connection(engine: AsyncEngine) -> PoolProxiedConnection:
    """Take a connection from the engine's pool, in the cheapest way."""
    pool = engine.sync_engine.pool
    return await (pool.take() if isinstance(pool, FairPool) else engine.raw_connection())


class FairReadPool(FairPool):
    """A pool for reading: a request whose client has disconnected gets no connection."""

    _sqla_logger_namespace = "sqlalchemy.pool.FairReadPool"

    def _begin(self, caller: Caller) -> None:
        caller.read()
