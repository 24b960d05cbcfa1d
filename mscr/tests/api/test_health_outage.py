"""Health during an outage of the database, on a server that only these tests stop and start."""

import asyncio
import secrets
from collections.abc import Iterator

import pytest
from httpx2 import AsyncClient

from examples.catalogue.project import project
from mscr.testing.databases import migrate
from mscr.testing.postgres import PostgresServer
from mscr.testing.problems import problem

READINESS = ["/health", "/health/ready"]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv(PostgresServer.variable, raising=False)
        with PostgresServer() as server:
            yield server


@pytest.fixture
async def database_url(server: PostgresServer) -> str:
    server.start()
    name = f"test_{secrets.token_hex(8)}"
    await server.create_database(name)
    await asyncio.to_thread(migrate, project, server.url(name))
    return server.url(name)


async def test_it_is_live(client: AsyncClient, server: PostgresServer) -> None:
    """RL1."""
    await client.get("/health/ready")
    server.stop()
    assert (await client.get("/health/live")).status_code == 200


@pytest.mark.parametrize("path", READINESS)
async def test_it_is_not_ready_and_sends_retry_after(
    client: AsyncClient, server: PostgresServer, path: str
) -> None:
    """RL1."""
    await client.get(path)
    server.stop()
    for _ in range(2):  # on the pooled connection, then on a new one
        response = await client.get(path)
        problem(response, 503, "service_unavailable")
        assert int(response.headers["retry-after"]) > 0


async def test_it_is_ready_again_as_soon_as_the_database_is(
    client: AsyncClient, server: PostgresServer
) -> None:
    """RL1."""
    await client.get("/health/ready")
    server.stop()
    await client.get("/health/ready")
    server.start()
    assert (await client.get("/health/ready")).status_code == 200


async def test_it_is_ready_when_the_outage_ended_unnoticed(
    client: AsyncClient, server: PostgresServer
) -> None:
    """RL1: the pool still holds stale connections to the server that was stopped."""
    await client.get("/health/ready")
    server.stop()
    server.start()
    answers = [(await client.get("/health/ready")).status_code for _ in range(2)]
    assert answers[-1] == 200
