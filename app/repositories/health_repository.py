from typing import Final

from sqlalchemy import inspect
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

VERSION_TABLE: Final = "alembic_version"


class HealthRepository:
    """Asks the database for the least there is. Of no model, so not a `BaseRepository`."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        self._sessions = sessions

    async def is_migrated(self) -> bool:
        """Whether any migration was ever applied; which ones is for the deployment to know."""
        async with self._sessions() as session:
            connection = await session.connection()
            return await connection.run_sync(lambda sync: inspect(sync).has_table(VERSION_TABLE))
