"""Migrations through a real PgBouncer: one at a time, and no lock is left behind."""

import asyncio
import os
import secrets
import signal
from collections.abc import AsyncIterator, Iterator

import pytest
from sqlalchemy import text

from mscr.testing.commands import Ended, finish, start
from mscr.testing.postgres import PostgresServer
from mscr.testing.waiting import connection_to, until
from mscr.tests.data.faults import private_server
from mscr.tests.deploy.pgbouncer import PgBouncer
from mscr.tests.support.paths import ALEMBIC

LOCKS = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with private_server() as own:
        yield own


@pytest.fixture(params=["session", "transaction"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def pooler(server: PostgresServer, mode: str) -> Iterator[PgBouncer]:
    size = "4" if mode == "transaction" else "20"
    # The pooler drops clients that are idle in a transaction for two seconds.
    with PgBouncer(server, mode, default_pool_size=size, idle_transaction_timeout="2") as running:
        yield running


@pytest.fixture
async def empty_url(server: PostgresServer) -> AsyncIterator[str]:
    name = f"empty_{secrets.token_hex(8)}"
    await server.create_database(name)
    yield server.url(name)
    await server.drop_database(name)


async def alembic(url: str, *arguments: str, **settings: str) -> Ended:
    process = start([*ALEMBIC, *arguments], os.environ | {"DATABASE_URL": url} | settings)
    return await asyncio.to_thread(finish, process)


async def locks(server: PostgresServer) -> int:
    async with connection_to(server.url("postgres")) as connection:
        return int(await connection.scalar(LOCKS) or 0)


async def test_commands_leave_no_lock_behind(
    server: PostgresServer, pooler: PgBouncer, empty_url: str
) -> None:
    url = pooler.in_front_of(empty_url)
    for arguments in (["current"], ["upgrade", "head"], ["current"], ["downgrade", "base"]):
        ended = await alembic(url, *arguments)

        assert ended.status == 0, ended.output
        assert await locks(server) == 0


@pytest.mark.long
async def test_several_processes_migrate_at_once(pooler: PgBouncer, empty_url: str) -> None:
    url = pooler.in_front_of(empty_url)

    ended = await asyncio.gather(*(alembic(url, "upgrade", "head") for _ in range(3)))

    assert [process.status for process in ended] == [0, 0, 0], ended
    assert sum("Running upgrade  -> 0001" in process.output for process in ended) == 1


@pytest.mark.long
async def test_a_killed_migration_releases_the_lock(
    server: PostgresServer, pooler: PgBouncer, empty_url: str
) -> None:
    url = pooler.in_front_of(empty_url)
    async with connection_to(empty_url) as rival:
        # The migration blocks on creating its first table, which the rival creates too.
        await rival.exec_driver_sql("BEGIN")
        await rival.exec_driver_sql("CREATE TABLE alembic_version ()")
        environment = {"DATABASE_URL": url, "DATABASE_LOCK_TIMEOUT_SECONDS": "60"}
        process = start([*ALEMBIC, "upgrade", "head"], os.environ | environment)

        async def is_held() -> bool:
            return await locks(server) == 1

        async def is_free() -> bool:
            return await locks(server) == 0

        await until(is_held)
        # Longer than the pooler's idle-in-transaction timeout.
        await asyncio.sleep(3)
        assert await is_held()
        process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(finish, process)
        await until(is_free)
        await rival.exec_driver_sql("ROLLBACK")

    assert (await alembic(url, "upgrade", "head")).status == 0


@pytest.mark.long
async def test_a_pooler_with_one_connection_is_reported_in_one_line(
    server: PostgresServer, empty_url: str
) -> None:
    """One connection holds the lock, another one migrates."""
    with PgBouncer(server, "transaction", default_pool_size="1") as narrow:
        ended = await alembic(narrow.in_front_of(empty_url), "upgrade", "head")

    assert ended.status != 0
    assert "default_pool_size" in ended.output.splitlines()[-1]


@pytest.mark.long
async def test_a_search_path_of_the_url_is_in_force(
    server: PostgresServer, pooler: PgBouncer, empty_url: str, mode: str
) -> None:
    async with connection_to(empty_url) as connection:
        await connection.exec_driver_sql("CREATE SCHEMA ours")
        url = f"{pooler.in_front_of(empty_url)}&search_path=ours"
        ended = await alembic(url, "upgrade", "0001", DATABASE_POOLER=mode)
        tables = await connection.scalar(
            text("SELECT count(*) FROM pg_tables WHERE schemaname = 'ours'")
        )

    assert ended.status == 0, ended.output
    assert tables > 5
