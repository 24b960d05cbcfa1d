"""Keep the pool that hashes passwords busy during a test."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from mscr.core.security.password import PasswordService

# Longer than any test needs: only a hanging test reaches it.
LIMIT_SECONDS = 60


@asynccontextmanager
async def busy_hashing(passwords: PasswordService, *, jobs: int) -> AsyncIterator[threading.Event]:
    """Occupy this many places of the pool, running or waiting; setting the event ends the jobs."""
    may_end = threading.Event()
    work = partial(may_end.wait, LIMIT_SECONDS)
    busy = [asyncio.create_task(passwords._run(work)) for _ in range(jobs)]
    # Let each task run until it occupies its place in the pool: it does so before its first await.
    await asyncio.sleep(0)
    try:
        yield may_end
    finally:
        may_end.set()
        await asyncio.gather(*busy)
