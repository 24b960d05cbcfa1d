"""Connections of a test's own, and waiting for what other connections and processes do."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from sqlalchemy import NullPool, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

# Half the timeout of a test: only a failure takes so long, but a busy machine may be slow.
PATIENCE: Final = timedelta(seconds=60)
POLL_INTERVAL: Final = timedelta(milliseconds=5)


@asynccontextmanager
async def connection_to(url: str) -> AsyncIterator[AsyncConnection]:
    """Open a connection of the test's own, outside the application's pools."""
    engine = create_async_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        yield connection


async def clients_of_database(connection: AsyncConnection, state: str) -> int:
    """Count the other connections in this state (`pg_stat_activity.state`)."""
    statement = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND state LIKE :state"
    )
    return int(await connection.scalar(statement, {"state": state}) or 0)


async def is_waiting(connection: AsyncConnection) -> bool:
    """Return whether a connection to this database waits for a lock."""
    statement = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    # Discard the snapshot: within a transaction, PostgreSQL would repeat the first result forever.
    await connection.execute(text("SELECT pg_stat_clear_snapshot()"))
    return bool(await connection.scalar(statement))


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Poll for a condition in another process, which sends no event."""
    deadline = time.monotonic() + PATIENCE.total_seconds()
    while not await condition():
        assert time.monotonic() < deadline, "the condition did not become true"
        await asyncio.sleep(POLL_INTERVAL.total_seconds())
