"""The application through a real PgBouncer, in both modes that it supports."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import NullPool, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from examples.catalogue.core.config import Settings
from examples.catalogue.db.session import Database
from examples.catalogue.tests.api import Api
from mscr.endpoints.database import DbSession
from mscr.queries.prepared_statement import PreparedStatement
from mscr.testing.api import Account
from mscr.testing.postgres import PostgresServer
from mscr.testing.waiting import until
from mscr.tests.data.faults import (
    assert_unavailable,
    migrated_database,
    private_server,
    writers_locked_out,
)
from mscr.tests.deploy.pgbouncer import PgBouncer

SLACK_SECONDS: Final = 2
CALLERS: Final = 12
SERVERS: Final = 4
IN_FORCE: Final = (
    "statement_timeout",
    "lock_timeout",
    "idle_in_transaction_session_timeout",
    "transaction_read_only",
)
SETTINGS: Final = PreparedStatement(
    select(*(func.current_setting(name) for name in IN_FORCE), func.pg_backend_pid())
)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with private_server() as own:
        yield own


@pytest.fixture(params=["session", "transaction"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def direct_url(server: PostgresServer) -> AsyncIterator[str]:
    async with migrated_database(server) as url:
        yield url


@pytest.fixture
def pooler(server: PostgresServer, mode: str) -> Iterator[PgBouncer]:
    # In session mode, each client connection occupies a server connection.
    size = "4" if mode == "transaction" else "40"
    with PgBouncer(server, mode, default_pool_size=size) as running:
        yield running


@pytest.fixture
def settings(
    direct_url: str, pooler: PgBouncer, mode: str, request: pytest.FixtureRequest
) -> Settings:
    marker = request.node.get_closest_marker("settings")
    # Long timeouts for a busy machine: the tests are about the pooler, not the application's pool.
    patience = {"DATABASE_POOL_TIMEOUT_SECONDS": 30, "DATABASE_CONNECT_TIMEOUT_SECONDS": 30}
    values = {"DATABASE_POOLER": mode, **patience, **(marker.kwargs if marker else {})}
    return Settings.from_env_file(None, DATABASE_URL=pooler.in_front_of(direct_url), **values)


async def everything(api: Api, account: Account) -> set[int]:
    """Send a client's typical requests: write, read in every way, change, delete."""
    headers = account.headers
    client = api.client
    statuses: set[int] = set()

    async def call(method: str, path: str, **options: Any) -> Any:
        response = await client.request(method, f"/api/v1/{path}", headers=headers, **options)
        statuses.add(response.status_code)
        return response.json() if response.content else {}

    made = await call("POST", "items", json={"title": "Buy milk", "tags": ["home"]})
    public_id = made["data"]["public_id"]
    await call("GET", f"items/{public_id}")
    await call("GET", "items?per_page=5&page=1")
    await call("GET", "items/my")
    await call("PATCH", f"items/{public_id}", json={"title": "Buy bread"})
    await call("GET", "users/me")
    await call("GET", "tags")
    await call("DELETE", f"items/{public_id}")
    return statuses


async def test_everything_works_under_load(api: Api) -> None:
    """Many more callers than server connections, which callers share in transaction mode."""
    accounts = [await api.register() for _ in range(CALLERS)]

    statuses = await asyncio.gather(
        *(everything(api, account) for account in accounts for _ in range(3))
    )

    assert set().union(*statuses) == {200, 201, 204}


@pytest.mark.settings(
    DATABASE_STATEMENT_TIMEOUT_SECONDS=7,
    DATABASE_LOCK_TIMEOUT_SECONDS=3,
    DATABASE_IDLE_TRANSACTION_TIMEOUT_SECONDS=9,
)
async def test_deadlines_and_read_only_mode_are_in_force_on_every_path(
    database: Database,
) -> None:
    deadlines = ["7s", "3s", "9s"]
    for sessions, engine, mode in (
        (database.sessions, database.engine, "off"),
        (database.read_sessions, database.read_engine, "on"),
    ):
        async with sessions() as session:
            in_a_session = (await session.execute(SETTINGS.statement)).one()
        past_it = await SETTINGS.one_or_none(engine)

        assert list(in_a_session[:4]) == [*deadlines, mode]
        assert past_it is not None
        assert list(past_it[:4]) == [*deadlines, mode]


@pytest.mark.settings(DATABASE_STATEMENT_TIMEOUT_SECONDS=0.5)
async def test_a_slow_statement_is_cancelled(app: FastAPI, client: AsyncClient) -> None:
    @app.get("/slow")
    async def slow(db: DbSession) -> None:
        await db.execute(text("SELECT pg_sleep(60)"))

    started = time.monotonic()
    answers = await asyncio.gather(*(client.get("/slow") for _ in range(SERVERS)))

    for answer in answers:
        assert_unavailable(answer)
    assert time.monotonic() - started < 0.5 + SLACK_SECONDS
    assert (await client.get("/health/ready")).status_code == 200


@pytest.mark.settings(DATABASE_LOCK_TIMEOUT_SECONDS=0.5)
async def test_a_wait_for_a_lock_times_out(api: Api, direct_url: str) -> None:
    account = await api.register()
    async with writers_locked_out(direct_url):
        started = time.monotonic()
        answer = await api.client.post(
            "/api/v1/items", json={"title": "A thing"}, headers=account.headers
        )
        elapsed = time.monotonic() - started

    assert_unavailable(answer)
    assert 0.5 <= elapsed < 0.5 + SLACK_SECONDS


async def test_a_read_session_cannot_write(database: Database) -> None:
    insert = text("INSERT INTO tags (public_id, name, name_key, owner_id) VALUES ('x','x','x',1)")
    async with database.read_sessions() as session:
        with pytest.raises(DBAPIError) as refused:
            await session.execute(insert)

    assert getattr(refused.value.orig, "sqlstate", None) == "25006"


async def test_the_next_client_of_a_server_connection_inherits_no_setting(
    api: Api, database: Database, pooler: PgBouncer, direct_url: str
) -> None:
    account = await api.register()
    await asyncio.gather(*(everything(api, account) for _ in range(CALLERS)))
    async with database.read_sessions() as session:
        ours = (await session.execute(SETTINGS.statement)).one()
    # In session mode, the server connection is free only after the client has closed its own.
    await database.close()

    servers = int(pooler.settings["default_pool_size"])
    others = await settings_of_all(pooler.in_front_of(direct_url), servers)

    assert ours[4] in {row[4] for row in others}
    assert {tuple(row[:4]) for row in others} == {("0", "0", "0", "off")}


async def settings_of_all(url: str, servers: int) -> list[Any]:
    """Return the settings in force on each server connection, for a client that sets none."""
    unprepared = {"statement_cache_size": 0, "prepared_statement_cache_size": 0}
    engine = create_async_engine(url, poolclass=NullPool, connect_args=unprepared)
    connections = [await engine.connect() for _ in range(servers)]
    # Each connection is in a transaction, so each has a server connection to itself.
    rows = [(await each.execute(SETTINGS.statement)).one() for each in connections]
    for each in connections:
        await each.close()
    return rows


@pytest.mark.long
async def test_the_application_recovers_from_a_restart_of_the_pooler_under_load(
    api: Api, pooler: PgBouncer
) -> None:
    account = await api.register()
    calls = [asyncio.create_task(list_items(api, account)) for _ in range(60)]
    await calls[10]
    await asyncio.to_thread(restart, pooler)
    statuses = {await call for call in calls}

    async def has_healed() -> bool:
        return {await list_items(api, account) for _ in range(20)} == {200}

    await until(has_healed)
    assert statuses <= {200, 503}


def restart(pooler: PgBouncer) -> None:
    pooler.stop()
    pooler.start()


async def list_items(api: Api, account: Account) -> int:
    return (await api.client.get("/api/v1/items", headers=account.headers)).status_code
