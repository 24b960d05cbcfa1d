"""Callers read what they wrote, though reads may go to a replica that is behind.

Each write counts in the row of the session that it came with, in its own transaction. A replica
replays transactions in the order of their commits: one whose copy of that row has the count has
everything that the caller wrote before. It is asked first, on the connection that then reads, so
no lag is too long, and no client has to bring anything. Without a replica, nothing is counted.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import structlog
from sqlalchemy import event, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from starlette.datastructures import State

from app.core.backing_services import REPLICA, log_fields
from app.core.database_errors import DATABASE_ERRORS
from app.core.security.principal import Principal
from app.db.session_info import COUNTS_WRITES
from app.models.refresh_token import RefreshToken

if TYPE_CHECKING:
    from app.db.session import Database

log = structlog.get_logger(__name__)

# So long is the primary read after the replica failed: each attempt may cost a connect timeout.
REPLICA_REST_SECONDS: Final = 10.0


def count_writes(session: AsyncSession, state: State) -> None:
    """Have each commit count for the caller of the request whose state this is."""
    session.info[COUNTS_WRITES] = True

    @event.listens_for(session.sync_session, "before_commit")
    def count(committing: Session) -> None:
        # As the last step: nothing is waited for with this row locked.
        caller: Principal | None = getattr(state, "principal", None)
        if caller is not None and not committing.in_nested_transaction():
            committing.execute(
                update(RefreshToken)
                .where(RefreshToken.public_id == caller.session_id)
                .values(writes=RefreshToken.writes + 1)
                .execution_options(synchronize_session=False)
            )


@asynccontextmanager
async def open_read_session(database: "Database", caller: Principal) -> AsyncIterator[AsyncSession]:
    """A session that reads the replica if that has all that the caller wrote, else the primary."""
    if database.has_replica and time.monotonic() >= database.replica_rests_until:
        async with database.replica_sessions() as session:
            if await _has_writes(database, session, caller):
                yield session
                return
    # With the connection to the replica given back: nobody holds two.
    session = database.read_sessions()
    try:
        yield session
    finally:
        await end(session)


async def end(session: AsyncSession) -> None:
    """Give back what the session holds. `async with` would start a task for one that holds nothing.

    That is one whose request made all of its queries past it, or committed as its last step.
    """
    if session.in_transaction():
        # Not close(), which the end of a cancelled request would cut off.
        await session.__aexit__(None, None, None)


async def _has_writes(database: "Database", session: AsyncSession, caller: Principal) -> bool:
    own = RefreshToken.public_id == caller.session_id
    try:
        replayed = await session.scalar(select(RefreshToken.writes).where(own))
    except DATABASE_ERRORS as error:
        database.replica_rests_until = time.monotonic() + REPLICA_REST_SECONDS
        log.warning("replica_unavailable", **log_fields(error, REPLICA))
        return False
    return replayed is not None and replayed >= caller.writes
