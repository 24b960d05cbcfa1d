"""What tests of faults share: a server of their own, locks that are held, and what 503 means."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta

import pytest
from httpx2 import Response
from sqlalchemy import NullPool, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from tests.conftest import migrate
from tests.support.api import Account, Api
from tests.support.postgres import PostgresServer
from tests.support.problems import problem

TEMPLATE = "template"
PATIENCE = timedelta(seconds=20)
POLL_INTERVAL = timedelta(milliseconds=5)


@contextmanager
def private_server() -> Iterator[PostgresServer]:
    """Never the server of TEST_POSTGRES_URL: others work on that one."""
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv(PostgresServer.variable, raising=False)
        with PostgresServer() as server:
            asyncio.run(server.create_database(TEMPLATE))
            migrate(server.url(TEMPLATE))
            yield server


@asynccontextmanager
async def migrated_database(server: PostgresServer) -> AsyncIterator[str]:
    """The URL of a migrated, empty database. Afterwards the server runs, whatever was done."""
    name = f"test_{secrets.token_hex(8)}"
    await server.create_database(name, template=TEMPLATE)
    yield server.url(name)
    server.start()
    await server.drop_database(name)


@asynccontextmanager
async def connection_to(url: str) -> AsyncIterator[AsyncConnection]:
    """A connection of the test's own, outside of the application's pools."""
    engine = create_async_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        yield connection


@asynccontextmanager
async def writers_locked_out(url: str) -> AsyncIterator[None]:
    """Nobody else can write to `items`, until the end of the block."""
    sqlite = url.startswith("sqlite")
    begin = "BEGIN IMMEDIATE" if sqlite else "BEGIN; LOCK TABLE items IN EXCLUSIVE MODE"
    async with connection_to(url) as connection:
        for statement in begin.split(";"):
            await connection.exec_driver_sql(statement)
        try:
            yield
        finally:
            await connection.exec_driver_sql("ROLLBACK")


async def clients_of_database(connection: AsyncConnection, state: str) -> int:
    """How many other connections there are in this state, as PostgreSQL calls it."""
    statement = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND state LIKE :state"
    )
    return int(await connection.scalar(statement, {"state": state}) or 0)


async def is_waiting(connection: AsyncConnection) -> bool:
    """Whether another connection to this database waits for a lock."""
    statement = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    # Or within a transaction, the first look would be repeated for ever.
    await connection.execute(text("SELECT pg_stat_clear_snapshot()"))
    return bool(await connection.scalar(statement))


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what happens in another process, which sends us no event."""
    deadline = time.monotonic() + PATIENCE.total_seconds()
    while not await condition():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(POLL_INTERVAL.total_seconds())


def assert_unavailable(response: Response) -> None:
    problem(response, 503, "service_unavailable")
    assert int(response.headers["retry-after"]) > 0


async def read(api: Api, account: Account) -> Response:
    return await api.client.get("/api/v1/items", headers=account.headers)


async def write(api: Api, account: Account) -> Response:
    body = {"title": "A thing"}
    return await api.client.post("/api/v1/items", json=body, headers=account.headers)
