from typing import Final

from sqlalchemy import inspect
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.db.schema_check import SchemaCheck, SchemaState

VERSION_TABLE: Final = "alembic_version"


class HealthRepository:
    """Asks the database for the least there is. Of no model, so not a `BaseRepository`."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession], schema: SchemaCheck) -> None:
        self._sessions = sessions
        self._schema = schema

    async def schema_state(self) -> SchemaState:
        """Compare the schema with the code. A schema newer than the code is current as well."""
        async with self._sessions() as session:
            connection = await session.connection()
            if not await connection.run_sync(lambda sync: inspect(sync).has_table(VERSION_TABLE)):
                return SchemaState.MISSING
            passes = await self._schema.passes(connection)
            return SchemaState.CURRENT if passes else SchemaState.OUTDATED
