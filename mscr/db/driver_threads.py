"""Threads that SQLite's driver leaves behind when a connection could not be made."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

PATIENCE_SECONDS: Final = 2.0


@asynccontextmanager
async def threads_ended() -> AsyncIterator[None]:
    """Wait for the daemon threads that began in the block.

    One that ends after its event loop prints a traceback, below the line that says what is wrong.
    """
    before = set(threading.enumerate())
    try:
        yield
    finally:
        for thread in set(threading.enumerate()) - before:
            if thread.daemon:
                await asyncio.to_thread(thread.join, PATIENCE_SECONDS)
