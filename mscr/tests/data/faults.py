"""Helpers for tests of faults: a private server, held locks, and assertions about 503."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
from httpx2 import Response

from examples.catalogue.project import project
from examples.catalogue.tests.api import Api
from mscr.testing.api import Account
from mscr.testing.databases import migrate
from mscr.testing.postgres import PostgresServer
from mscr.testing.problems import problem
from mscr.testing.waiting import connection_to

TEMPLATE = "template"


@contextmanager
def private_server() -> Iterator[PostgresServer]:
    """Start a server for this test alone, never that of TEST_POSTGRES_URL, which others use."""
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv(PostgresServer.variable, raising=False)
        with PostgresServer() as server:
            asyncio.run(server.create_database(TEMPLATE))
            migrate(project, server.url(TEMPLATE))
            yield server


@asynccontextmanager
async def migrated_database(server: PostgresServer) -> AsyncIterator[str]:
    """Yield the URL of a migrated, empty database.

    Afterwards, start the server if a test stopped it.
    """
    name = f"test_{secrets.token_hex(8)}"
    await server.create_database(name, template=TEMPLATE)
    yield server.url(name)
    server.start()
    await server.drop_database(name)


@asynccontextmanager
async def writers_locked_out(url: str) -> AsyncIterator[None]:
    """Lock `items` against all other writers until the end of the block."""
    sqlite = url.startswith("sqlite")
    begin = "BEGIN IMMEDIATE" if sqlite else "BEGIN; LOCK TABLE items IN EXCLUSIVE MODE"
    async with connection_to(url) as connection:
        for statement in begin.split(";"):
            await connection.exec_driver_sql(statement)
        try:
            yield
        finally:
            await connection.exec_driver_sql("ROLLBACK")


def assert_unavailable(response: Response) -> None:
    problem(response, 503, "service_unavailable")
    assert int(response.headers["retry-after"]) > 0


async def read(api: Api, account: Account) -> Response:
    return await api.client.get("/api/v1/items", headers=account.headers)


async def write(api: Api, account: Account) -> Response:
    body = {"title": "A thing"}
    return await api.client.post("/api/v1/items", json=body, headers=account.headers)
