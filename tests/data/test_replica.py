"""DATABASE_REPLICA_URL: where requests that only read may go."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.core.config import Settings
from app.db.session import Database


async def test_the_replica_has_a_pool_of_its_own_that_only_reads(settings: Settings) -> None:
    replica_url = settings.DATABASE_URL
    database = Database(settings.model_copy(update={"DATABASE_REPLICA_URL": replica_url}))

    assert database.replica_engine is not database.read_engine
    async with database.replica_sessions() as session:
        with pytest.raises(DBAPIError):
            await session.execute(text("DELETE FROM users"))
    await database.close()


async def test_without_a_replica_the_primary_is_read(settings: Settings) -> None:
    database = Database(settings)

    assert database.replica_engine is database.read_engine
    await database.close()
