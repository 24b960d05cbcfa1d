from typing import Final

from sqlalchemy import inspect
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from mscr.db.schema_check import SchemaCheck, SchemaState

VERSION_TABLE: Final = "alembic_version"


class HealthRepository:
    """Check that the database is reachable and its schema fits. It has no model of its own."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession], schema: SchemaCheck) -> None:
        self._sessions = sessions
        self._schema = schema

    async def schema_state(self) -> SchemaState:
        """Compare the schema with the code. A schema newer than the code counts as current."""
        async with self._sessions() as session:
            connection = await session.connection()
            if not await connection.run_sync(lambda sync: inspect(sync).has_table(VERSION_TABLE)):
                return SchemaState.MISSING
            passes = await self._schema.passes(connection)
            return SchemaState.CURRENT if passes else SchemaState.OUTDATED
