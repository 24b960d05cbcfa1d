"""Outages of the database: requests get 503 meanwhile, and succeed afterwards without a restart."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import text
from sqlalchemy.engine import make_url

from examples.catalogue.core.config import Settings
from examples.catalogue.main import create_app
from examples.catalogue.tests.api import Api
from mscr.endpoints.database import DbSession
from mscr.testing.api import Account
from mscr.testing.applications import running
from mscr.testing.postgres import PostgresServer
from mscr.testing.waiting import PATIENCE, connection_to, until
from mscr.tests.data.faults import (
    assert_unavailable,
    migrated_database,
    private_server,
    read,
    write,
)

OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
OTHER_CLIENTS = text(f"SELECT pid {OTHERS}")
SLEEPERS = text(f"SELECT count(*) {OTHERS} AND wait_event = 'PgSleep'")
TERMINATE_OTHERS = text(f"SELECT pg_terminate_backend(pid) {OTHERS}")
UNREACHABLE = {
    "a port that refuses": "postgresql+asyncpg://me@127.0.0.1:1/app",
    "a host that is unknown": "postgresql+asyncpg://me@nowhere.invalid/app",
    "a socket that is not there": "postgresql+asyncpg://me@localhost/app?host=/nowhere",
}

# A queue of requests needs a long timeout on a busy machine.
patient_pool = pytest.mark.settings(DATABASE_POOL_TIMEOUT_SECONDS=30)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with private_server() as own:
        yield own


@pytest.fixture
async def database_url(server: PostgresServer) -> AsyncIterator[str]:
    async with migrated_database(server) as url:
        yield url


@pytest.fixture
async def account(api: Api) -> Account:
    return await api.register()


async def terminate_clients(url: str) -> int:
    """Terminate the connections of all other clients and return their number."""
    async with connection_to(url) as connection:
        return len((await connection.execute(TERMINATE_OTHERS)).all())


def restart(server: PostgresServer) -> None:
    server.stop()
    server.start()


async def test_requests_are_answered_with_503_while_the_database_is_down(
    api: Api, account: Account, server: PostgresServer
) -> None:
    """RL1."""
    server.stop()

    for response in [await read(api, account), await write(api, account), await read(api, account)]:
        assert_unavailable(response)


async def test_the_application_recovers_when_the_database_is_back(
    api: Api, account: Account, server: PostgresServer
) -> None:
    """RL1: reads and writes recover without a restart."""
    server.stop()
    assert_unavailable(await write(api, account))
    server.start()

    answers = [await write(api, account), await read(api, account)]

    assert [answer.status_code for answer in answers] == [201, 200]


async def test_a_restart_of_an_idle_database_costs_no_request(
    api: Api, account: Account, server: PostgresServer
) -> None:
    """RL2: every pooled connection is dead."""
    await write(api, account)
    await asyncio.to_thread(restart, server)

    answers = [await write(api, account), await read(api, account)]

    assert [answer.status_code for answer in answers] == [201, 200]


async def test_liveness_does_not_query_the_database(
    client: AsyncClient, server: PostgresServer
) -> None:
    """RL1."""
    server.stop()

    response = await client.get("/health/live")

    assert response.status_code == 200


@pytest.mark.parametrize("path", ["/health", "/health/ready"])
async def test_readiness_follows_the_database(
    client: AsyncClient, server: PostgresServer, path: str
) -> None:
    """RL1."""
    before = await client.get(path)
    server.stop()
    down = await client.get(path)
    server.start()
    after = await client.get(path)

    assert_unavailable(down)
    assert (before.status_code, after.status_code) == (200, 200)


@pytest.mark.parametrize("url", UNREACHABLE.values(), ids=UNREACHABLE.keys())
async def test_a_database_that_cannot_be_reached_is_answered_with_503(
    settings: Settings, url: str
) -> None:
    """RL1."""
    async with running(create_app(settings.model_copy(update={"DATABASE_URL": url}))) as client:
        assert_unavailable(await client.get("/health/ready"))


async def test_a_database_that_takes_no_connections_is_answered_with_503(
    api: Api, account: Account, server: PostgresServer, database_url: str
) -> None:
    """RL1: PostgreSQL refuses connections so while it starts, stops or is full."""
    name = make_url(database_url).database
    async with connection_to(server.url("postgres")) as connection:
        await connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
        await connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"),
            {"name": name},
        )
        refused = await read(api, account)
        await connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true"))

    assert_unavailable(refused)
    assert (await read(api, account)).status_code == 200


async def test_a_connection_that_is_killed_in_a_query_costs_one_503(
    app: FastAPI, client: AsyncClient, database_url: str
) -> None:
    """RL2."""

    @app.get("/naps")
    async def nap(db: DbSession, seconds: int) -> None:
        await db.execute(text("SELECT pg_sleep(:seconds)"), {"seconds": seconds})

    asleep = asyncio.create_task(client.get("/naps", params={"seconds": 60}))
    async with connection_to(database_url) as connection:

        async def is_asleep() -> bool:
            return bool(await connection.scalar(SLEEPERS))

        await until(is_asleep)
        await connection.execute(TERMINATE_OTHERS)

    assert_unavailable(await asleep)
    assert (await client.get("/naps", params={"seconds": 0})).status_code == 200


@patient_pool
async def test_killed_connections_cost_one_503_each_under_load(
    api: Api, account: Account, database_url: str
) -> None:
    """RL2."""
    answers = [asyncio.create_task(write(api, account)) for _ in range(150)]
    killed = 0
    for position in (20, 60, 100):
        await answers[position]
        killed += await terminate_clients(database_url)
    statuses = [(await answer).status_code for answer in answers]

    assert killed > 0
    assert set(statuses) <= {201, 503}
    assert statuses.count(503) <= killed


@patient_pool
async def test_requests_succeed_after_connections_were_killed_under_load(
    api: Api, account: Account, database_url: str
) -> None:
    """RL2: the pool recovers by itself."""
    answers = [asyncio.create_task(write(api, account)) for _ in range(40)]
    await answers[10]
    await terminate_clients(database_url)
    await asyncio.wait(answers)
    # Each idle connection that was terminated is met here, once.
    await asyncio.gather(*(write(api, account) for _ in range(40)))

    after = await asyncio.gather(*(write(api, account) for _ in range(40)))

    assert {answer.status_code for answer in after} == {201}


@pytest.mark.settings(DATABASE_STATEMENT_TIMEOUT_SECONDS=1, DATABASE_IDLE_CHECK_SECONDS=60)
async def test_a_server_that_falls_silent_costs_one_503_for_each_connection(
    api: Api, account: Account, database_url: str
) -> None:
    """RL6: the connections stay open, no reply comes back, and none was idle for long."""
    await write(api, account)
    async with connection_to(database_url) as connection:
        clients = list(await connection.scalars(OTHER_CLIENTS))
    with suspended(clients):
        async with asyncio.timeout(PATIENCE.total_seconds()):
            *silent, healed = [await write(api, account) for _ in range(3)]

    for response in silent:
        assert_unavailable(response)
    assert healed.status_code == 201


@contextmanager
def suspended(process_ids: list[int]) -> Iterator[None]:
    for process_id in process_ids:
        os.kill(process_id, signal.SIGSTOP)
    try:
        yield
    finally:
        for process_id in process_ids:
            os.kill(process_id, signal.SIGCONT)
