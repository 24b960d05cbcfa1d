"""DATABASE_REPLICA_URL: where requests that only read may go, and when they may not.

The replica of these tests is a second database: it is behind until a test brings it up.
"""

import secrets
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from sqlalchemy import event, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.config import Settings
from app.db import own_writes
from app.db.session import Database
from app.models import Base, Item, RefreshToken
from tests.support.api import Account, Api
from tests.support.postgres import PostgresServer

AWAY = {"sqlite": "sqlite+aiosqlite:////nowhere/a.db", "postgresql": "postgresql://a@127.0.0.1:1/a"}


class Replica:
    """A database that has what the primary had when it was last brought up."""

    def __init__(self, engine: AsyncEngine, primary: Database) -> None:
        self._engine = engine
        self._primary = primary

    async def catch_up(self) -> None:
        tables = Base.metadata.sorted_tables
        async with self._primary.read_sessions() as reader, self._engine.begin() as writer:
            for table in reversed(tables):
                await writer.execute(table.delete())
            for table in tables:
                rows = [row._asdict() for row in await reader.execute(select(table))]
                if rows:
                    await writer.execute(table.insert(), rows)

    async def mark(self) -> None:
        """So that who reads here can be told from who reads the primary."""
        async with self._engine.begin() as writer:
            await writer.execute(update(Item).values(title="Mine, as the replica has it"))


@pytest.fixture
async def replica_url(
    backend: str, template: str, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[str]:
    if backend == "sqlite":
        shutil.copy(template, tmp_path / "replica.db")
        yield f"sqlite+aiosqlite:///{tmp_path}/replica.db"
        return
    server = request.getfixturevalue("postgres")
    assert isinstance(server, PostgresServer)
    name = f"replica_{secrets.token_hex(8)}"
    await server.create_database(name, template=template)
    yield server.url(name)
    await server.drop_database(name)


@pytest.fixture
def settings(settings: Settings, replica_url: str) -> Settings:
    return settings.model_copy(update={"DATABASE_REPLICA_URL": replica_url})


@pytest.fixture
async def replica(replica_url: str, database: Database) -> AsyncIterator[Replica]:
    written = Database(Settings(_env_file=None, DATABASE_URL=replica_url))
    yield Replica(written.engine, database)
    await written.close()


async def change_title(api: Api, account: Account, item: dict[str, Any], title: str) -> Response:
    path = f"/api/v1/items/{item['public_id']}"
    return await api.client.patch(path, json={"title": title}, headers=account.headers)


async def titles_seen(api: Api, account: Account, item: dict[str, Any]) -> list[str]:
    """By every route that shows the item."""
    found = []
    for path in (item["public_id"], "", "my", "search?q=mine"):
        url = f"/api/v1/items/{path}".removesuffix("/")
        data = (await api.client.get(url, headers=account.headers)).json()["data"]
        found += [row["title"] for row in data] if isinstance(data, list) else [data["title"]]
    return found


async def counted_writes(database: Database) -> list[int]:
    async with database.read_sessions() as session:
        return list(await session.scalars(select(RefreshToken.writes).order_by(RefreshToken.id)))


async def test_who_has_just_registered_and_written_sees_it_though_the_replica_is_empty(
    api: Api, replica: Replica
) -> None:
    """RW1."""
    account = await api.register()
    item = await api.create_item(account, title="Mine")

    assert await titles_seen(api, account, item) == ["Mine"] * 4
    assert (await api.me(account.access_token)).status_code == 200
    profile = f"/api/v1/users/{account.public_id}"
    assert (await api.client.get(profile, headers=account.headers)).status_code == 200


async def test_a_replica_that_has_what_the_caller_wrote_is_read(api: Api, replica: Replica) -> None:
    account = await api.register()
    item = await api.create_item(account)
    await replica.catch_up()
    await replica.mark()

    assert await titles_seen(api, account, item) == ["Mine, as the replica has it"] * 4


async def test_a_write_sends_its_writer_to_the_primary_and_nobody_else(
    api: Api, replica: Replica
) -> None:
    """RW1: until the replica has it."""
    writer, reader = await api.register(), await api.register()
    item = await api.create_item(writer, status="active")
    await replica.catch_up()
    await replica.mark()
    await change_title(api, writer, item, "Mine, changed")
    path = f"/api/v1/items/{item['public_id']}"

    assert await titles_seen(api, writer, item) == ["Mine, changed"] * 4
    behind = await api.client.get(path, headers=reader.headers)
    assert behind.json()["data"]["title"] == "Mine, as the replica has it"

    await replica.catch_up()
    await replica.mark()
    assert await titles_seen(api, writer, item) == ["Mine, as the replica has it"] * 4


async def test_a_login_on_another_device_sees_what_was_written_before_it(
    api: Api, replica: Replica
) -> None:
    """RW1: its own session is not on the replica yet."""
    account = await api.register()
    item = await api.create_item(account, title="Mine")
    await replica.catch_up()
    await change_title(api, account, item, "Mine, changed")

    assert await titles_seen(api, await api.login(account), item) == ["Mine, changed"] * 4


async def test_what_is_committed_counts_and_what_only_reads_or_fails_does_not(
    api: Api, replica: Replica, database: Database
) -> None:
    account, other = await api.register(), await api.register()
    item = await api.create_item(account)
    await titles_seen(api, account, item)
    assert (await change_title(api, account, item, "")).status_code == 422
    assert (await change_title(api, other, item, "Not mine")).status_code == 404

    assert await counted_writes(database) == [1, 0]
    path = f"/api/v1/items/{item['public_id']}"
    await api.client.delete(path, headers=account.headers)
    # Which ends a savepoint before.
    await api.client.post(f"{path}/restore", headers=account.headers)
    assert await counted_writes(database) == [3, 0]


async def test_a_write_that_fails_at_its_end_is_not_counted(
    api: Api, replica: Replica, database: Database
) -> None:
    """Counted in the transaction of the write."""
    account = await api.register()
    async with database.engine.begin() as connection:
        await connection.execute(text("ALTER TABLE audit_events RENAME TO elsewhere"))
    response = await api.client.post("/api/v1/auth/logout-all", headers=account.headers)

    assert response.status_code == 500
    assert await counted_writes(database) == [0]


async def test_a_replica_that_is_away_costs_one_attempt_in_a_while_and_no_answer(
    settings: Settings, app: FastAPI, client: AsyncClient, backend: str, api: Api, monkeypatch: Any
) -> None:
    """RW2."""
    account = await api.register()
    item = await api.create_item(account, title="Mine")
    away = Settings(
        _env_file=None, **settings.model_dump() | {"DATABASE_REPLICA_URL": AWAY[backend]}
    )
    own, app.state.database = app.state.database, Database(away)
    attempts = []
    event.listen(
        app.state.database.replica_engine.sync_engine,
        "do_connect",
        lambda *_: attempts.append(1),
    )

    assert await titles_seen(api, account, item) == ["Mine"] * 4
    assert len(attempts) == 1

    monkeypatch.setattr(own_writes, "REPLICA_REST_SECONDS", 0)
    app.state.database.replica_rests_until = 0
    assert await titles_seen(api, account, item) == ["Mine"] * 4
    assert len(attempts) == 5
    await app.state.database.close()
    app.state.database = own


async def test_the_replica_has_a_pool_of_its_own_that_only_reads(database: Database) -> None:
    assert database.replica_engine is not database.read_engine
    async with database.replica_sessions() as session:
        with pytest.raises(DBAPIError):
            await session.execute(text("DELETE FROM users"))


async def test_without_a_replica_the_primary_is_read_and_nothing_is_counted(
    settings: Settings, app: FastAPI, api: Api
) -> None:
    own, app.state.database = (
        app.state.database,
        Database(settings.model_copy(update={"DATABASE_REPLICA_URL": None})),
    )
    database: Database = app.state.database
    account = await api.register()
    item = await api.create_item(account, title="Mine")

    assert database.replica_engine is database.read_engine
    assert await titles_seen(api, account, item) == ["Mine"] * 4
    assert await counted_writes(own) == [0]
    await database.close()
    app.state.database = own
