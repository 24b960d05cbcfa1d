"""Connections go to whoever has waited longest."""

import asyncio
from collections import deque
from typing import Final, TypeVar

from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry
from sqlalchemy.util import await_
from sqlalchemy.util.queue import AsyncAdaptedQueue, Empty, QueueCommon

T = TypeVar("T")


class _FairQueue(AsyncAdaptedQueue[T]):
    """What is put in while somebody waits is theirs.

    In SQLAlchemy's own, whoever comes may take it before they wake up, and sends them to the end of
    the line: requests that make several queries overtake those that wait for their first one. With
    a few times as many callers as connections, one in a hundred waited for seconds.
    """

    def __init__(self, maxsize: int = 0, use_lifo: bool = False) -> None:  # noqa: FBT001, FBT002  # SQLAlchemy's
        super().__init__(maxsize, use_lifo)
        self._waiting: Final[deque[asyncio.Future[T]]] = deque()

    def put(self, item: T, block: bool = True, timeout: float | None = None) -> None:  # noqa: FBT001, FBT002  # likewise
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(item)
                return
        super().put(item, block, timeout)

    def get(self, block: bool = True, timeout: float | None = None) -> T:  # noqa: FBT001, FBT002  # likewise
        # What is there, nobody waits for.
        try:
            return self.get_nowait()
        except Empty:
            if not block:
                raise
        return await_(self._wait(timeout))

    async def _wait(self, seconds: float | None) -> T:
        waiter: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout(seconds):
                return await waiter
        except BaseException as error:
            if waiter.done() and not waiter.cancelled():
                # It came at the last moment.
                self.put(waiter.result(), block=False)
            if isinstance(error, TimeoutError):
                raise Empty from None
            raise


class FairPool(AsyncAdaptedQueuePool):
    # By its module it would log as the application does, each time that a pool is disposed of.
    _sqla_logger_namespace = "sqlalchemy.pool.FairPool"
    _queue_class: type[QueueCommon[ConnectionPoolEntry]] = _FairQueue
