"""Deadlines: for a connection, a lock, a statement and an idle transaction."""

import asyncio
import time

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from sqlalchemy import text

from examples.catalogue.db.session import Database
from examples.catalogue.tests.api import Api
from mscr.endpoints.database import DbSession
from mscr.testing.databases import checked_out, on_postgresql
from mscr.testing.waiting import clients_of_database, connection_to, until
from mscr.tests.data.faults import assert_unavailable, write, writers_locked_out

# How far a response may exceed its deadline on a machine that is busy with other tests.
SLACK_SECONDS = 2

small_pool = pytest.mark.settings(
    DATABASE_POOL_SIZE=2, DATABASE_POOL_TIMEOUT_SECONDS=1, DATABASE_LOCK_TIMEOUT_SECONDS=60
)


@small_pool
async def test_requests_that_find_the_pool_empty_get_503_within_the_pool_timeout(
    api: Api, database_url: str
) -> None:
    """RL4."""
    # Two accounts, because the fair pool never lets one caller take both connections.
    accounts = [await api.register(), await api.register()]
    refused: set[asyncio.Task[Response]] = set()
    async with writers_locked_out(database_url):
        started = time.monotonic()
        waiting = {asyncio.create_task(write(api, accounts[n % 2])) for n in range(20)}
        while len(refused) < 18:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            refused |= done
        elapsed = time.monotonic() - started

    for task in refused:
        assert_unavailable(task.result())
    assert [(await task).status_code for task in waiting] == [201, 201]
    assert 1 <= elapsed < 1 + SLACK_SECONDS


@small_pool
async def test_an_empty_pool_recovers(api: Api, database: Database, database_url: str) -> None:
    """RL4."""
    account = await api.register()
    async with writers_locked_out(database_url):
        waiting = [asyncio.create_task(write(api, account)) for _ in range(20)]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.wait(waiting)

    # As many requests at once as there are connections: none has to wait.
    after = await asyncio.gather(*(write(api, account) for _ in range(2)))

    assert {response.status_code for response in after} == {201}
    assert checked_out(database) == 0


@pytest.mark.settings(DATABASE_LOCK_TIMEOUT_SECONDS=3)
async def test_a_held_lock_is_answered_with_503_within_the_lock_timeout(
    api: Api, database_url: str
) -> None:
    """RL6."""
    account = await api.register()
    async with writers_locked_out(database_url):
        started = time.monotonic()
        response = await write(api, account)
        elapsed = time.monotonic() - started

    assert_unavailable(response)
    # Well below twice the timeout: the lock is not requested a second time.
    assert 3 <= elapsed < 6


@pytest.mark.settings(DATABASE_LOCK_TIMEOUT_SECONDS=0.3)
async def test_a_connection_works_again_after_a_lock_timeout(api: Api, database_url: str) -> None:
    """RL6."""
    account = await api.register()
    async with writers_locked_out(database_url):
        await write(api, account)

    assert (await write(api, account)).status_code == 201


@on_postgresql
@pytest.mark.settings(DATABASE_STATEMENT_TIMEOUT_SECONDS=0.3)
async def test_a_slow_statement_is_answered_with_503_within_the_statement_timeout(
    app: FastAPI, client: AsyncClient
) -> None:
    """RL6."""

    @app.get("/slow")
    async def slow(db: DbSession) -> None:
        await db.execute(text("SELECT pg_sleep(60)"))

    started = time.monotonic()
    response = await client.get("/slow")

    assert_unavailable(response)
    assert time.monotonic() - started < 0.3 + SLACK_SECONDS


@on_postgresql
@pytest.mark.settings(DATABASE_IDLE_TRANSACTION_TIMEOUT_SECONDS=1)
async def test_a_transaction_that_idles_too_long_is_ended_and_answered_with_503(
    app: FastAPI, client: AsyncClient, database_url: str
) -> None:
    """RL6."""

    @app.get("/idle")
    async def idle(db: DbSession) -> None:
        await db.execute(text("SELECT 1"))
        async with connection_to(database_url) as connection:

            async def is_gone() -> bool:
                return await clients_of_database(connection, "idle in transaction") == 0

            await until(is_gone)
        await db.execute(text("SELECT 1"))

    assert_unavailable(await client.get("/idle"))
    assert (await client.get("/health/ready")).status_code == 200
