"""Retry a use case after a deadlock or a write conflict.

The database has rolled one of the conflicting transactions back, to let the other one finish.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final, TypeVar

import structlog
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from mscr.db.database_errors import is_conflict

T = TypeVar("T")

log = structlog.get_logger(__name__)

MAX_TRIES: Final = 4
# Exponential backoff with full jitter: without it, the same transactions would collide again.
FIRST_PAUSE: Final = timedelta(milliseconds=20)
# No try begins later than this. SQLite reports "locked" only after a wait of about this length,
# and a client should not wait for that twice.
LAST_TRY_WITHIN: Final = timedelta(seconds=5)


def session_of(service: object) -> AsyncSession:
    """Return the session of a service's repositories. Raise `TypeError` unless they share one."""
    used = (getattr(part, "session", None) for part in vars(service).values())
    sessions = {session for session in used if isinstance(session, AsyncSession)}
    if len(sessions) != 1:
        raise TypeError(f"the repositories of {type(service).__name__} share no database session")
    return sessions.pop()


async def retry(session: AsyncSession, work: Callable[[], Awaitable[T]]) -> T:
    """Await `work()` and return its result. Retry it after a deadlock or a write conflict.

    Work that has committed is never repeated. Other errors are raised at once, and that of the last
    try as well. The steps after a conflict:

    1. Close the session: the transaction is rolled back, objects that were read are dropped, and
       the connection goes back to the pool.
    2. Sleep for a random pause, without a connection.
    3. Call `work()` again, which begins a new transaction.
    """
    last_start = time.monotonic() + LAST_TRY_WITHIN.total_seconds()
    for tried in range(1, MAX_TRIES):
        with _commits(session) as commits:
            try:
                return await work()
            except DBAPIError as error:
                if commits or not is_conflict(error) or time.monotonic() > last_start:
                    raise
        log.warning("use_case_retried", tried=tried)
        await session.close()
        pause = FIRST_PAUSE.total_seconds() * 2**tried
        await asyncio.sleep(random.uniform(0, pause))  # noqa: S311  # spreads, hides nothing
    return await work()


@contextmanager
def _commits(session: AsyncSession) -> Iterator[list[Session]]:
    """Collect the session's commits during the block. The release of a savepoint is no commit."""
    commits: list[Session] = []

    def note(committed: Session) -> None:
        if not committed.in_nested_transaction():
            commits.append(committed)

    event.listen(session.sync_session, "after_commit", note)
    try:
        yield commits
    finally:
        event.remove(session.sync_session, "after_commit", note)
