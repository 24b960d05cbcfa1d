"""The migration lock: one process migrates, the others wait for it or give up."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import NullPool, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from mscr.db.migration_lock import MigrationLockError, postgresql_lock, take_sqlite_lock
from mscr.testing.commands import finish, start
from mscr.testing.databases import on_postgresql, on_sqlite
from mscr.testing.waiting import connection_to, until
from mscr.tests.data.conftest import alembic_config
from mscr.tests.support.paths import ALEMBIC

HOLDER = (
    "FROM pg_locks WHERE locktype = 'advisory' AND granted AND database ="
    " (SELECT oid FROM pg_database WHERE datname = current_database())"
)
HOLDERS = text(f"SELECT pid {HOLDER}")
TERMINATE_HOLDER = text(f"SELECT pg_terminate_backend(pid) {HOLDER}")
KEPT = text(
    "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'"  # noqa: S608  # no value comes from outside
    f" AND query LIKE 'SET LOCAL%' AND pid IN (SELECT pid {HOLDER})"
)
KEY = 7_236_512_094
LONG = timedelta(seconds=30)
SHORT = timedelta(seconds=0.3)


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    arguments = {"isolation_level": None} if database_url.startswith("sqlite") else {}
    made = create_async_engine(database_url, poolclass=NullPool, connect_args=arguments)
    yield made
    await made.dispose()


@asynccontextmanager
async def lock(engine: AsyncEngine, patience: timedelta = LONG) -> AsyncIterator[None]:
    if engine.dialect.name == "sqlite":
        async with engine.begin() as connection:
            await take_sqlite_lock(connection, patience=lambda: patience)
            yield
    else:
        async with (
            engine.connect() as connection,
            postgresql_lock(connection, KEY, patience=lambda: patience),
        ):
            yield


async def test_one_process_at_a_time_holds_the_lock(engine: AsyncEngine) -> None:
    order = []

    async def migrate(name: str) -> None:
        async with lock(engine):
            order.append(f"{name} begins")
            await asyncio.sleep(0)
            order.append(f"{name} ends")

    await asyncio.gather(*(migrate(name) for name in "abc"))

    assert [line.split()[1] for line in order] == ["begins", "ends"] * 3


async def test_a_waiting_process_gives_up_in_time_with_an_error_of_one_line(
    engine: AsyncEngine,
) -> None:
    async with lock(engine):
        with pytest.raises(MigrationLockError, match=r"gave up after .* another process") as raised:
            async with lock(engine, SHORT):
                pass

    assert "\n" not in str(raised.value)


async def test_a_process_that_waits_for_a_second_logs_the_holder_of_the_lock(
    engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with lock(engine):
        expected = "another process that writes to"
        if engine.dialect.name == "postgresql":
            async with engine.connect() as other:
                expected = f"server process {await other.scalar(HOLDERS)}"
        waiting = asyncio.create_task(held_once(engine))

        async def has_told() -> bool:
            return "waiting for" in caplog.text

        await until(has_told)
    await waiting

    assert caplog.text.count("waiting for") == 1
    assert expected in caplog.text


async def held_once(engine: AsyncEngine) -> None:
    async with lock(engine):
        pass


@on_sqlite
async def test_only_a_held_lock_is_waited_for(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await connection.exec_driver_sql("BEGIN")
        with pytest.raises(OperationalError, match="within a transaction"):
            await take_sqlite_lock(connection, patience=lambda: LONG)


async def _is_kept(other: AsyncConnection) -> bool:
    """Return whether the holder's connection has been used to keep it alive, and is idle."""
    return bool(await other.scalar(KEPT))


@on_postgresql
async def test_a_lock_whose_connection_breaks_stops_the_migration(
    engine: AsyncEngine, database_url: str
) -> None:
    """Without the lock, another process may migrate."""

    async def migrate() -> None:
        async with lock(engine), connection_to(database_url) as other:
            # Break the connection between two uses of it, not during one.
            await until(lambda: _is_kept(other))
            await other.execute(TERMINATE_HOLDER)
            await asyncio.sleep(LONG.total_seconds())

    with pytest.raises(MigrationLockError, match="broke"):
        await migrate()

    await held_once(engine)


@on_postgresql
async def test_a_cancelled_migration_releases_the_lock(engine: AsyncEngine) -> None:
    held = asyncio.Event()

    async def migrate() -> None:
        async with lock(engine):
            held.set()
            await asyncio.sleep(LONG.total_seconds())

    migrating = asyncio.create_task(migrate())
    await held.wait()
    migrating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await migrating

    await held_once(engine)


@on_postgresql
async def test_idle_timeouts_of_the_server_do_not_release_the_lock(
    engine: AsyncEngine, database_url: str
) -> None:
    async with connection_to(database_url) as admin:
        name = engine.url.database
        for timeout in ("idle_in_transaction_session_timeout", "transaction_timeout"):
            await admin.exec_driver_sql(f'ALTER DATABASE "{name}" SET {timeout} = 300')
    async with lock(engine):
        await asyncio.sleep(0.8)
        with pytest.raises(MigrationLockError, match="gave up"):
            await asyncio.wait_for(failing(engine), LONG.total_seconds())


async def failing(engine: AsyncEngine) -> None:
    async with lock(engine, timedelta(0)):
        pass


@on_postgresql
async def test_an_index_is_created_concurrently_while_other_processes_wait_for_the_lock(
    engine: AsyncEngine, database_url: str
) -> None:
    """CREATE INDEX CONCURRENTLY waits for all older snapshots, so a waiter must not hold one."""
    async with lock(engine), connection_to(database_url) as migrating:
        waiting = [asyncio.create_task(held_once(engine)) for _ in range(4)]
        async with asyncio.timeout(LONG.total_seconds()):
            for number in range(10):
                name = f"ix_try_{number}"
                await migrating.exec_driver_sql(
                    f"CREATE INDEX CONCURRENTLY {name} ON users (full_name)"
                )
    await asyncio.gather(*waiting)


@pytest.fixture
def migrated(database_url: str) -> Config:
    return alembic_config(database_url)


COMMANDS = {
    "upgrade": lambda config: command.upgrade(config, "head"),
    "current": command.current,
    "check": command.check,
    "heads": command.heads,
}


@pytest.mark.parametrize("name", COMMANDS)
async def test_a_command_that_changes_nothing_takes_no_lock(
    engine: AsyncEngine, migrated: Config, name: str
) -> None:
    """Otherwise only one process at a time could start on a schema that is at head."""
    async with lock(engine):
        await asyncio.wait_for(asyncio.to_thread(COMMANDS[name], migrated), LONG.total_seconds())


async def test_alembic_reports_a_lock_timeout_in_one_line(
    engine: AsyncEngine, database_url: str
) -> None:
    environment = os.environ | {
        "DATABASE_URL": database_url,
        "DATABASE_MIGRATION_LOCK_TIMEOUT_SECONDS": "0.1",
    }
    async with lock(engine):
        process = start([*ALEMBIC, "downgrade", "-1"], environment)
        ended = await asyncio.to_thread(finish, process)

    assert ended.status != 0
    assert ended.output.splitlines()[-1].startswith("FAILED: gave up after")
    assert len(ended.output.splitlines()) == 3, "two lines of Alembic's and the error"
