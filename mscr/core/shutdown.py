"""End tasks and close all resources at shutdown, within one deadline."""

import asyncio
from collections.abc import Collection, Coroutine, Mapping
from datetime import timedelta
from typing import Any, Final

import structlog

log = structlog.get_logger(__name__)

# Shutdown waits so long for cancelled tasks: one may ignore its cancellation, or the database hang.
CANCELLING_TIME: Final = timedelta(seconds=1)


async def close_all(closing: Mapping[str, Coroutine[Any, Any, None]], *, within: timedelta) -> None:
    """Run all concurrently, and cancel those that take longer than `within`.

    A failed or late one is logged by its name, and does not keep the others from closing.
    """
    tasks = [asyncio.create_task(close, name=name) for name, close in closing.items()]
    done, late = await asyncio.wait(tasks, timeout=within.total_seconds())
    for task in late:
        task.cancel()
        log.warning("not_closed", what=task.get_name(), reason=f"not within {within}")
    await asyncio.sleep(0)  # they end before the caller does
    for task in done:
        if (error := task.exception()) is not None:
            log.warning("not_closed", what=task.get_name(), reason=type(error).__name__)


async def end_tasks(tasks: Collection[asyncio.Task[None]], until: float, *, what: str) -> None:
    """Wait for tasks until a time of the event loop's clock, and cancel those that take longer.

    Those that ignore their cancellation are logged as `what`, and left behind.
    """
    if not tasks:
        return
    within = max(0, until - asyncio.get_running_loop().time())
    _, late = await asyncio.wait(tasks, timeout=within)
    for task in late:
        task.cancel()
    if late:
        _, stuck = await asyncio.wait(late, timeout=CANCELLING_TIME.total_seconds())
        if stuck:
            log.warning("not_closed", what=what, reason=f"{len(stuck)} ignore their cancellation")
