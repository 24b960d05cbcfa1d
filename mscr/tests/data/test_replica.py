"""DATABASE_REPLICA_URL: which reads may go to the replica, and which must not.

The replica of these tests is a second database. It lags behind until a test calls `catch_up`.
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

from examples.catalogue.core.config import Settings
from examples.catalogue.db.session import Database
from examples.catalogue.models.base import Base
from examples.catalogue.models.item import Item
from examples.catalogue.models.kit_tables import RefreshToken
from examples.catalogue.tests.api import Api
from mscr.db import replica as replica_reads
from mscr.testing.api import Account
from mscr.testing.postgres import PostgresServer

AWAY = {"sqlite": "sqlite+aiosqlite:////nowhere/a.db", "postgresql": "postgresql://a@127.0.0.1:1/a"}


class Replica:
    """A copy of the primary as of the last `catch_up`."""

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
        """Change every title, so that a read of the replica differs from one of the primary."""
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
    written = Database(Settings.from_env_file(None, DATABASE_URL=replica_url))
    yield Replica(written.engine, database)
    await written.close()


async def change_title(api: Api, account: Account, item: dict[str, Any], title: str) -> Response:
    path = f"/api/v1/items/{item['public_id']}"
    return await api.client.patch(path, json={"title": title}, headers=account.headers)


async def titles_seen(api: Api, account: Account, item: dict[str, Any]) -> list[str]:
    """Read the item's title from every route that shows it."""
    found = []
    for path in (item["public_id"], "", "my", "search?q=mine"):
        url = f"/api/v1/items/{path}".removesuffix("/")
        data = (await api.client.get(url, headers=account.headers)).json()["data"]
        found += [row["title"] for row in data] if isinstance(data, list) else [data["title"]]
    return found


async def counted_writes(database: Database) -> list[int]:
    async with database.read_sessions() as session:
        return list(await session.scalars(select(RefreshToken.writes).order_by(RefreshToken.id)))


async def test_a_new_user_sees_their_writes_while_the_replica_lags(
    api: Api, replica: Replica
) -> None:
    """RW1: read your own writes, even of a session that the replica does not have."""
    account = await api.register()
    item = await api.create_item(account, title="Mine")

    assert await titles_seen(api, account, item) == ["Mine"] * 4
    assert (await api.me(account.access_token)).status_code == 200
    profile = f"/api/v1/users/{account.public_id}"
    assert (await api.client.get(profile, headers=account.headers)).status_code == 200


async def test_a_replica_that_has_the_writes_of_the_caller_is_read(
    api: Api, replica: Replica
) -> None:
    account = await api.register()
    item = await api.create_item(account)
    await replica.catch_up()
    await replica.mark()

    assert await titles_seen(api, account, item) == ["Mine, as the replica has it"] * 4


async def test_an_anonymous_client_reads_the_replica_if_it_is_reachable(
    settings: Settings, app: FastAPI, backend: str, api: Api, replica: Replica
) -> None:
    account = await api.register()
    body = {"title": "On tea", "text": "Warm the pot first."}
    created = await api.client.post("/api/v1/articles", json=body, headers=account.headers)
    path = created.headers["location"]

    assert (await api.client.get(path)).status_code == 404
    assert (await api.client.get(path, headers=account.headers)).status_code == 200
    away = settings.model_dump() | {"DATABASE_REPLICA_URL": AWAY[backend]}
    own, app.state.database = app.state.database, Database(Settings.from_env_file(None, **away))
    assert (await api.client.get(path)).status_code == 200
    await app.state.database.close()
    app.state.database = own


async def test_a_write_sends_only_its_writer_to_the_primary(api: Api, replica: Replica) -> None:
    """RW1: until the replica has caught up."""
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


async def test_a_new_session_sees_earlier_writes(api: Api, replica: Replica) -> None:
    """RW1: the replica does not have the new session yet."""
    account = await api.register()
    item = await api.create_item(account, title="Mine")
    await replica.catch_up()
    await change_title(api, account, item, "Mine, changed")

    assert await titles_seen(api, await api.login(account), item) == ["Mine, changed"] * 4


async def test_only_committed_writes_are_counted(
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
    # A restore also ends a savepoint before its commit.
    await api.client.post(f"{path}/restore", headers=account.headers)
    assert await counted_writes(database) == [3, 0]


async def test_a_write_that_fails_late_is_not_counted(
    api: Api, replica: Replica, database: Database
) -> None:
    """The count is part of the transaction of the write."""
    account = await api.register()
    async with database.engine.begin() as connection:
        await connection.execute(text("ALTER TABLE audit_events RENAME TO elsewhere"))
    response = await api.client.post("/api/v1/auth/logout-all", headers=account.headers)

    assert response.status_code == 500
    assert await counted_writes(database) == [0]


async def test_an_unreachable_replica_costs_one_attempt_in_a_while_and_no_response(
    settings: Settings, app: FastAPI, client: AsyncClient, backend: str, api: Api, monkeypatch: Any
) -> None:
    """RW2: after a failed attempt, the replica is left alone for a while."""
    account = await api.register()
    item = await api.create_item(account, title="Mine")
    away = Settings.from_env_file(
        None, **settings.model_dump() | {"DATABASE_REPLICA_URL": AWAY[backend]}
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

    monkeypatch.setattr(replica_reads, "REPLICA_REST_SECONDS", 0)
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
