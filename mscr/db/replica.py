"""Read your writes: choose the replica for a read only if it has all that the caller wrote.

Each commit raises the number `writes` in the row of the caller's session, in the same transaction.
A replica replays transactions in the order of their commits. If its copy of that row has the
caller's number, it therefore has everything that the caller wrote before; with a lower number, it
lags. The count is read first, on the connection that then serves the read. So no lag is too long,
and clients need to send nothing. Without a replica, nothing is counted.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from starlette.datastructures import State

from mscr.connections.backing_services import REPLICA, log_fields
from mscr.core.security.principal import Principal
from mscr.db.database_errors import DATABASE_ERRORS
from mscr.db.session import Database, end_session
from mscr.db.session_info import COUNTS_FOR_REPLICA

log = structlog.get_logger(__name__)

# After the replica failed, reads go to the primary for so long: each attempt may cost a timeout.
REPLICA_REST_SECONDS: Final = 10.0


def count_writes(session: AsyncSession, state: State, database: Database) -> None:
    """Count each commit of this session for the caller of the request that has this state."""
    session.info[COUNTS_FOR_REPLICA] = True

    @event.listens_for(session.sync_session, "before_commit")
    def count(committing: Session) -> None:
        # The last statement before COMMIT, so that the transaction waits for nothing while it locks
        # the session's row.
        caller: Principal | None = getattr(state, "principal", None)
        if caller is not None and not committing.in_nested_transaction():
            database.replica_count.increment(committing, caller.session_id)


@asynccontextmanager
async def open_read_session(
    database: Database, caller: Principal | None
) -> AsyncIterator[AsyncSession]:
    """Open a session on the replica if it has all that the caller wrote, else on the primary.

    Without a caller, the replica may lag.
    """
    if database.has_replica and time.monotonic() >= database.replica_rests_until:
        async with database.replica_sessions() as session:
            if await _has_writes(database, session, caller):
                yield session
                return
    # The connection to the replica is back in its pool by now: no request holds two.
    session = database.read_sessions()
    try:
        yield session
    finally:
        await end_session(session)


async def _has_writes(database: Database, session: AsyncSession, caller: Principal | None) -> bool:
    try:
        if caller is None:
            # Connect now: if the replica fails later, the read could not move to the primary.
            _ = await session.connection()
            return True
        replayed = await database.replica_count.of(session, caller.session_id)
    except DATABASE_ERRORS as error:
        database.replica_rests_until = time.monotonic() + REPLICA_REST_SECONDS
        log.warning("replica_unavailable", **log_fields(error, REPLICA))
        return False
    return replayed is not None and replayed >= caller.replica_count
