"""Count the writes of a session, to detect a replica that lags behind the caller."""

from typing import cast

from sqlalchemy import Table, bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from mscr.models.tables import Tables


class ReplicaCount:
    """The counter `writes` in a session's row. Each commit of the session raises it."""

    def __init__(self, tables: Tables) -> None:
        sessions = cast("Table", tables.refresh_token.__table__)
        own = sessions.c.public_id == bindparam("session_id")
        self._increment = update(sessions).where(own).values(writes=sessions.c.writes + 1)
        self._count = select(sessions.c.writes).where(own)

    def increment(self, session: Session, session_id: str) -> None:
        session.execute(self._increment, {"session_id": session_id})

    async def of(self, session: AsyncSession, session_id: str) -> int | None:
        """Return the session's count in this database, or None if it has no such session."""
        count: int | None = await session.scalar(self._count, {"session_id": session_id})
        return count
