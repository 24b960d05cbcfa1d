"""Deduplicate concurrent calls: all share the result of one (against a thundering herd)."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Runs one call at a time, and shares its result with all concurrent callers.

    Cancelling a caller does not cancel the call, as others may await it.
    """

    def __init__(self) -> None:
        self._call: asyncio.Task[T] | None = None
        self._ends_at = 0.0

    async def run(self, work: Callable[[], Coroutine[Any, Any, T]], *, within: timedelta) -> T:
        """Return the result of `work`, or of the call that is already running.

        Raises `TimeoutError` if it takes longer than `within`, and whatever `work` raises.
        """
        async with asyncio.timeout(within.total_seconds()):
            # A call cancelled at its deadline may still be cleaning up: wait for its end.
            while self._call and not self._call.done() and _now() > self._ends_at:
                await asyncio.wait([self._call])
            if self._call is None or self._call.done():
                self._ends_at = _now() + within.total_seconds()
                self._call = asyncio.create_task(_bounded(work, within))
                self._call.add_done_callback(_retrieve)
            return await asyncio.shield(self._call)

    async def close(self) -> None:
        """Cancel the running call, and wait until it has ended."""
        if self._call is not None:
            self._call.cancel()
            await asyncio.wait([self._call])


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _bounded(work: Callable[[], Coroutine[Any, Any, T]], within: timedelta) -> T:
    async with asyncio.timeout(within.total_seconds()):
        return await work()


def _retrieve(call: "asyncio.Task[Any]") -> None:
    # All callers may be cancelled; asyncio would then log an exception that was never retrieved.
    if not call.cancelled():
        call.exception()
