"""The servers for tests start, stop, restart and clean up; other tests depend on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from redis import Redis
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from mscr.testing.postgres import PostgresServer
from mscr.testing.server import ServerError
from mscr.testing.valkey import ValkeyServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv(PostgresServer.variable, raising=False)
        with PostgresServer() as server:
            yield server


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv(ValkeyServer.variable, raising=False)
        with ValkeyServer() as server:
            yield server


async def _execute(url: str, *statements: str) -> object:
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.begin() as connection:
        results = [await connection.execute(text(statement)) for statement in statements]
        return results[-1].scalar() if results[-1].returns_rows else None


async def test_a_database_has_the_rows_of_its_template(postgres: PostgresServer) -> None:
    await postgres.create_database("original")
    await _execute(postgres.url("original"), "CREATE TABLE t (x int)", "INSERT INTO t VALUES (7)")
    await postgres.create_database("copy", template="original")
    assert await _execute(postgres.url("copy"), "SELECT x FROM t") == 7


async def test_dropping_a_database_twice_is_no_error(
    postgres: PostgresServer,
) -> None:
    await postgres.create_database("short_lived")
    await postgres.drop_database("short_lived")
    await postgres.drop_database("short_lived")
    with pytest.raises(DBAPIError, match="does not exist"):
        await _execute(postgres.url("short_lived"), "SELECT 1")


async def test_postgres_keeps_its_data_across_a_restart(
    postgres: PostgresServer,
) -> None:
    await postgres.create_database("lasting")
    await _execute(postgres.url("lasting"), "CREATE TABLE t (x int)", "INSERT INTO t VALUES (7)")
    postgres.stop()
    with pytest.raises(FileNotFoundError):
        await _execute(postgres.url("lasting"), "SELECT x FROM t")
    postgres.start()
    assert await _execute(postgres.url("lasting"), "SELECT x FROM t") == 7


def test_valkey_responds_before_and_after_a_restart(valkey: ValkeyServer) -> None:
    client = Redis.from_url(valkey.url)
    assert client.ping()
    valkey.stop()
    valkey.start()
    assert client.ping()
    client.close()


@pytest.mark.parametrize("kind", [PostgresServer, ValkeyServer])
def test_a_closed_server_leaves_no_directory(kind: type[PostgresServer | ValkeyServer]) -> None:
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv(kind.variable, raising=False)
        with kind() as server:
            directory = server.scratch.path
            assert directory.is_dir()
    assert not directory.exists()


def test_an_external_server_is_used_and_cannot_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "TEST_POSTGRES_URL", "postgresql://me:p%40ss@db.test:5433/entrance?ssl=require"
    )
    with PostgresServer() as server:
        assert server.url("fresh") == (
            "postgresql+asyncpg://me:p%40ss@db.test:5433/fresh?ssl=require"
        )
        with pytest.raises(ServerError, match="not ours"):
            server.stop()
