"""A fair connection pool: no caller holds all connections, or waits behind another's requests."""

from typing import Any, Final

from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry
from sqlalchemy.util import await_

from mscr.db.caller import Caller, current_caller
from mscr.db.turnstile import NOBODY, Turnstile


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

    def _do_get(self) -> ConnectionPoolEntry:
        caller = current_caller()
        key = NOBODY if caller is None else caller.key
        if not self._turnstile.try_enter(key):
            self._wait(key)
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

    def _wait(self, key: str) -> None:
        seconds = self._timeout
        try:
            await_(self._turnstile.wait(key, seconds=seconds))
        except TimeoutError:
            raise PoolTimeoutError(f"no connection became free in {seconds:g} s") from None

    def _begin(self, caller: Caller) -> None:
        caller.write()


class FairReadPool(FairPool):
    """A pool for reading: a request whose client has disconnected gets no connection."""

    _sqla_logger_namespace = "sqlalchemy.pool.FairReadPool"

    def _begin(self, caller: Caller) -> None:
        caller.read()
