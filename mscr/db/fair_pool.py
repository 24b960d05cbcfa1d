"""Connections are shared fairly: no caller holds all of them, and none waits behind another's."""

from typing import Any, Final

from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry
from sqlalchemy.util import await_

from app.db.caller import Caller, current_caller
from app.db.turnstile import NOBODY, Turnstile


class FairPool(AsyncAdaptedQueuePool):
    """A pool that callers of `app.db.caller` share, each in a line of its own.

    In SQLAlchemy's own, whoever comes may take a connection before those wake up who wait for it,
    and sends them to the end of the line; and one caller's requests may hold all of them. Here its
    queue only keeps what is free: the turnstile lets in no more than there are.
    """

    # By its module it would log as the application does, each time that a pool is disposed of.
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
            if caller is not None:
                self._begin(caller)
            entry = super()._do_get()
        except BaseException:
            self._turnstile.leave(key)
            raise
        self._holders[entry] = key
        return entry

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
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
    """One to read with: whoever is gone by now gets nothing."""

    _sqla_logger_namespace = "sqlalchemy.pool.FairReadPool"

    def _begin(self, caller: Caller) -> None:
        caller.read()
