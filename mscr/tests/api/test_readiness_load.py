"""Readiness under load: the probe has a connection of its own outside the request pools."""

import asyncio
import time
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from httpx2 import AsyncClient
from sqlalchemy import event

from examples.catalogue.db.session import Database
from examples.catalogue.tests.api import Api
from mscr.testing.databases import on_postgresql, on_sqlite
from mscr.testing.waiting import clients_of_database, connection_to, is_waiting, until

PROBES = 30
# Slack for a machine that is busy with other tests.
SLACK_SECONDS = 2

small_pools = pytest.mark.settings(DATABASE_POOL_SIZE=2, DATABASE_POOL_TIMEOUT_SECONDS=30)


@on_postgresql
@small_pools
async def test_it_is_ready_while_requests_wait_for_a_locked_table(
    api: Api, database_url: str
) -> None:
    """RL4: otherwise a lock on one table would take every instance out of service at once."""
    account = await api.register()
    async with connection_to(database_url) as connection:
        await connection.exec_driver_sql("BEGIN")
        await connection.exec_driver_sql("LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
        lists = [
            asyncio.create_task(api.client.get("/api/v1/items/my", headers=account.headers))
            for _ in range(20)
        ]
        await until(lambda: is_waiting(connection))
        response = await api.client.get("/health/ready")
        await connection.exec_driver_sql("ROLLBACK")

    assert response.status_code == 200
    assert {answer.status_code for answer in await asyncio.gather(*lists)} == {200}


@small_pools
async def test_it_is_ready_while_every_connection_of_requests_is_in_use(
    client: AsyncClient, database: Database
) -> None:
    """RL4."""
    async with AsyncExitStack() as stack:
        for engine in (database.engine, database.read_engine):
            # Idle connections, because SQLite has one writer: checked out, they count as in use.
            for _ in range(2):
                _ = await stack.enter_async_context(engine.connect())
        response = await client.get("/health/ready")

    assert response.status_code == 200


@on_sqlite
async def test_it_is_ready_while_another_process_writes(api: Api, database_url: str) -> None:
    """RL6."""
    await api.register()
    async with connection_to(database_url) as connection:
        await connection.exec_driver_sql("BEGIN EXCLUSIVE")
        response = await api.client.get("/health/ready")
        await connection.exec_driver_sql("ROLLBACK")

    assert response.status_code == 200


async def test_concurrent_probes_share_one_query(client: AsyncClient, database: Database) -> None:
    """Probes of many load balancers, or of an attacker, cost about as much as one."""
    looks: list[str] = []
    event.listen(
        database.probe_engine.sync_engine,
        "before_cursor_execute",
        lambda _, __, statement, *___: looks.append(statement),
    )
    await client.get("/health/ready")
    alone = len(looks)

    answers = await asyncio.gather(*(client.get("/health/ready") for _ in range(PROBES)))

    assert {answer.status_code for answer in answers} == {200}
    assert alone > 0
    # The first probes query the database while the last ones have not yet arrived.
    assert len(looks) - alone < PROBES * alone / 2


@on_postgresql
async def test_it_keeps_one_connection(client: AsyncClient, database_url: str) -> None:
    async with connection_to(database_url) as connection:
        for _ in range(3):
            await asyncio.gather(*(client.get("/health/ready") for _ in range(PROBES)))

        assert await clients_of_database(connection, "%") == 1


@on_postgresql
async def test_a_locked_catalogue_is_reported_in_time(
    client: AsyncClient, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RL6: the deadline holds whatever blocks the database."""
    await client.get("/health/ready")
    deadline = timedelta(seconds=0.5)
    async with connection_to(database_url) as connection, AsyncExitStack() as impatient:
        impatient.enter_context(monkeypatch.context()).setattr(
            "mscr.services.health_service.READY_DEADLINE", deadline
        )
        await connection.exec_driver_sql("BEGIN")
        await connection.exec_driver_sql("LOCK TABLE pg_class IN ACCESS EXCLUSIVE MODE")
        started = time.monotonic()
        answers = await asyncio.gather(*(client.get("/health/ready") for _ in range(PROBES)))
        elapsed = time.monotonic() - started
        await connection.exec_driver_sql("ROLLBACK")

    assert {answer.status_code for answer in answers} == {503}
    assert elapsed < 0.5 + SLACK_SECONDS
    assert (await client.get("/health/ready")).status_code == 200


async def test_a_probe_that_disconnects_does_not_cancel_the_others(client: AsyncClient) -> None:
    first, second = (asyncio.create_task(client.get("/health/ready")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()

    assert (await second).status_code == 200
