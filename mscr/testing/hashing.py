"""The pool that hashes passwords, made busy for as long as a test wants."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from app.core.security.password import PasswordService

# Longer than any test needs: only a pool that is none lets it come to that.
LIMIT_SECONDS = 10


@asynccontextmanager
async def busy_hashing(passwords: PasswordService, *, jobs: int) -> AsyncIterator[threading.Event]:
    """Take as many places of the pool, running or waiting; setting the event ends the jobs."""
    may_end = threading.Event()
    work = partial(may_end.wait, LIMIT_SECONDS)
    busy = [asyncio.create_task(passwords._run(work)) for _ in range(jobs)]
    # Each of them takes its place in its first step.
    await asyncio.sleep(0)
    try:
        yield may_end
    finally:
        may_end.set()
        await asyncio.gather(*busy)
