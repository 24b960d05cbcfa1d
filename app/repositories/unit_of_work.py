"""A use case is one unit of work: all that its repositories did is committed, or nothing is.

They share a session, so nothing has to be opened for that. When the database ends a transaction
for the sake of another one, nothing is wrong with the use case: it is done again.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial, wraps
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

import structlog
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from app.core.database_errors import is_conflict
from app.repositories.base import BaseRepository, take_calls

P = ParamSpec("P")
ServiceType = TypeVar("ServiceType")
T = TypeVar("T")

log = structlog.get_logger(__name__)

MAX_TRIES: Final = 4
# Doubled with each try, and a random part of it: those who met would meet again.
FIRST_PAUSE: Final = timedelta(milliseconds=20)
# No try begins later: SQLite says "locked" after a wait as long as this, and no client waits twice.
LAST_TRY_WITHIN: Final = timedelta(seconds=5)


def retried(
    use_case: Callable[Concatenate[ServiceType, P], Awaitable[T]],
) -> Callable[Concatenate[ServiceType, P], Coroutine[Any, Any, T]]:
    """Decorates a service's method that is done again after a deadlock or a write conflict.

    From the start, in the same session: what it reads, it reads anew. So nothing in it may have an
    effect outside its transaction: no mail, no counter, no request to others, and nothing that a
    `PreparedStatement` writes. What is passed to it must not be a row that it changes. After a
    commit, or as part of a larger transaction, it is tried once.
    """

    @wraps(use_case)
    async def run(service: ServiceType, /, *args: P.args, **kwargs: P.kwargs) -> T:
        session = session_of(service)
        work = partial(use_case, service, *args, **kwargs)
        # What the caller did in this transaction would be undone, and not done again.
        return await (work() if session.in_transaction() else _retry(session, work))

    return run


def session_of(service: object) -> AsyncSession:
    """The session of a service's repositories. Raises `TypeError` unless they share one."""
    parts = vars(service).values()
    sessions = {part.session for part in parts if isinstance(part, BaseRepository)}
    if len(sessions) != 1:
        raise TypeError(f"the repositories of {type(service).__name__} have no session in common")
    return sessions.pop()


async def _retry(session: AsyncSession, work: Callable[[], Awaitable[T]]) -> T:
    last_start = time.monotonic() + LAST_TRY_WITHIN.total_seconds()
    for tried in range(1, MAX_TRIES):
        with _commits(session) as commits:
            try:
                return await work()
            except DBAPIError as error:
                if commits or not is_conflict(error) or time.monotonic() > last_start:
                    raise
        log.warning("use_case_retried", tried=tried)
        # Rolled back, with nothing left of what was read, and no connection held meanwhile.
        take_calls(session)
        await session.close()
        pause = FIRST_PAUSE.total_seconds() * 2**tried
        await asyncio.sleep(random.uniform(0, pause))  # noqa: S311  # spreads, hides nothing
    return await work()


@contextmanager
def _commits(session: AsyncSession) -> Iterator[list[Session]]:
    """What the session has committed meanwhile; the end of a savepoint is no commit."""
    commits: list[Session] = []

    def note(committed: Session) -> None:
        if not committed.in_nested_transaction():
            commits.append(committed)

    event.listen(session.sync_session, "after_commit", note)
    try:
        yield commits
    finally:
        event.remove(session.sync_session, "after_commit", note)
