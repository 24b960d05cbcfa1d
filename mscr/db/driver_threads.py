"""Threads that SQLite's driver leaves behind when a connection could not be made."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

PATIENCE_SECONDS: Final = 2.0


@asynccontextmanager
async def threads_ended() -> AsyncIterator[None]:
    """Join the daemon threads that were started in the block.

    A thread that outlives its event loop prints a traceback, below the line with the real error.
    """
    before = set(threading.enumerate())
    try:
        yield
    finally:
        for thread in set(threading.enumerate()) - before:
            if thread.daemon:
                await asyncio.to_thread(thread.join, PATIENCE_SECONDS)
