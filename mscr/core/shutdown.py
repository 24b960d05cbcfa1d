"""Close all resources at shutdown within one deadline."""

import asyncio
from collections.abc import Coroutine, Mapping
from datetime import timedelta
from typing import Any

import structlog

log = structlog.get_logger(__name__)


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
