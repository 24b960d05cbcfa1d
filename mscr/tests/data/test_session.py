"""Settings of connections, and the boundaries of transactions and savepoints."""

import asyncio
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI
from httpx2 import ASGITransport, AsyncClient
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.types import Message, Receive, Scope, Send

from examples.catalogue.db.session import Database
from examples.catalogue.models.item import Item
from examples.catalogue.models.user import User
from examples.catalogue.tests.api import Api
from mscr.endpoints.callers import CurrentUser
from mscr.endpoints.database import DbSession, ReadDbSession, get_read_db
from mscr.http.responses import SuccessResponse, success_response
from mscr.testing.databases import checked_out, on_postgresql, on_sqlite
from mscr.testing.waiting import clients_of_database, connection_to
from mscr.tests.data.conftest import make_user

INSERT_USER = text(
    "INSERT INTO users (public_id, email, email_key, password_hash) VALUES ('x', 'x', 'x', 'x')"
)
SQLITE_PRAGMAS = {
    "journal_mode": "wal",
    "synchronous": 1,
    "foreign_keys": 1,
    "busy_timeout": 7000,
}
POSTGRESQL_TIMEOUTS = {
    "statement_timeout": "7s",
    "lock_timeout": "1500ms",
    "idle_in_transaction_session_timeout": "9s",
    "application_name": "Shop",
}


@on_sqlite
@pytest.mark.settings(DATABASE_LOCK_TIMEOUT_SECONDS=7)
@pytest.mark.parametrize("pragma", SQLITE_PRAGMAS)
async def test_a_pragma_holds_on_every_connection(database: Database, pragma: str) -> None:
    found = set()
    for engine in (database.engine, database.read_engine):
        async with engine.connect() as first, engine.connect() as second:
            for connection in (first, second):
                found.add(await connection.scalar(text(f"PRAGMA {pragma}")))
                # SQLite's write lock is held, so a second transaction would wait for this one.
                await connection.rollback()

    assert found == {SQLITE_PRAGMAS[pragma]}


@on_postgresql
@pytest.mark.settings(
    APP_NAME="Shop",
    DATABASE_STATEMENT_TIMEOUT_SECONDS=7,
    DATABASE_LOCK_TIMEOUT_SECONDS=1.5,
    DATABASE_IDLE_TRANSACTION_TIMEOUT_SECONDS=9,
)
@pytest.mark.parametrize("setting", POSTGRESQL_TIMEOUTS)
async def test_a_deadline_of_the_settings_holds_on_every_connection(
    database: Database, setting: str
) -> None:
    """RL6."""
    found = set()
    for engine in (database.engine, database.read_engine):
        async with engine.connect() as connection:
            found.add(await connection.scalar(text(f"SHOW {setting}")))

    assert found == {POSTGRESQL_TIMEOUTS[setting]}


@on_sqlite
@pytest.mark.settings(DATABASE_LOCK_TIMEOUT_SECONDS=30)
async def test_parallel_transactions_that_read_and_then_write_wait_for_each_other(
    database: Database, owner: User
) -> None:
    async def raise_version() -> None:
        async with database.sessions.begin() as session:
            user = await session.get_one(User, owner.id)
            user.auth_version += 1

    await asyncio.gather(*(raise_version() for _ in range(20)))

    async with database.sessions() as session:
        assert await session.scalar(select(User.auth_version)) == 21


@on_sqlite
async def test_a_connection_whose_commit_failed_holds_no_lock(
    database: Database, database_url: str
) -> None:
    """SQLite keeps such a transaction open, and with it the lock that all writers need."""
    orphans = "(id INTEGER REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED)"
    async with database.engine.begin() as connection:
        await connection.exec_driver_sql(f"CREATE TABLE orphans {orphans}")
    async with database.sessions() as session:
        await session.execute(text("INSERT INTO orphans VALUES (-1)"))
        with pytest.raises(IntegrityError):
            await session.commit()

    async with connection_to(database_url) as another:
        await another.execute(INSERT_USER)


async def test_a_rolled_back_savepoint_undoes_its_rows(
    session: AsyncSession,
) -> None:
    session.add(make_user("kept@example.com"))
    await session.flush()
    savepoint = await session.begin_nested()
    session.add(make_user("undone@example.com"))
    await session.flush()
    await savepoint.rollback()
    await session.commit()

    assert (await session.scalars(select(User.email))).all() == ["kept@example.com"]


async def test_a_rolled_back_transaction_undoes_its_savepoints(
    session: AsyncSession,
) -> None:
    async with session.begin_nested():
        session.add(make_user("undone@example.com"))
    await session.rollback()

    assert await session.scalar(select(func.count()).select_from(User)) == 0


async def test_a_read_session_refuses_to_write(database: Database) -> None:
    async with database.read_sessions() as session:
        with pytest.raises(DBAPIError, match=r"read-?only"):
            await session.execute(INSERT_USER)


async def test_a_read_session_sees_each_commit_at_once(database: Database) -> None:
    async with database.read_sessions() as reader, database.sessions() as writer:
        before = await reader.scalar(select(func.count()).select_from(User))
        writer.add(make_user("new@example.com"))
        await writer.commit()
        after = await reader.scalar(select(func.count()).select_from(User))

    assert (before, after) == (0, 1)


@on_postgresql
async def test_a_read_session_opens_no_transaction(database: Database, database_url: str) -> None:
    async with database.read_sessions() as session, connection_to(database_url) as observer:
        await session.execute(text("SELECT 1"))

        assert await clients_of_database(observer, "idle in transaction") == 0
        assert await clients_of_database(observer, "idle") == 1


async def test_a_foreign_key_to_no_row_is_refused(session: AsyncSession) -> None:
    session.add(Item(title="Nobody's", owner_id=4711))

    with pytest.raises(DBAPIError, match=r"(?i)foreign key"):
        await session.flush()


async def test_uncommitted_work_of_a_route_is_rolled_back(
    app: FastAPI, client: AsyncClient, database: Database
) -> None:
    @app.post("/forgetful")
    async def forgetful(db: DbSession) -> None:
        await db.execute(INSERT_USER)

    response = await client.post("/forgetful")

    assert response.status_code == 200
    async with database.sessions() as session:
        assert await session.scalar(select(func.count()).select_from(User)) == 0


async def test_a_route_that_reads_through_get_read_db_cannot_write(
    app: FastAPI, api: Api, database: Database
) -> None:
    account = await api.register()

    @app.post("/sneaky")
    async def sneaky(db: ReadDbSession) -> None:
        await db.execute(INSERT_USER)

    @app.post("/anonymous")
    async def anonymous(db: Annotated[AsyncSession, Depends(get_read_db)]) -> None:
        await db.execute(INSERT_USER)

    for path in ("/sneaky", "/anonymous"):
        response = await api.client.post(path, headers=account.headers)
        assert response.status_code >= 500, path
    async with database.sessions() as session:
        assert await session.scalar(select(func.count()).select_from(User)) == 1


async def test_the_connection_is_back_in_its_pool_before_the_response_starts(
    app: FastAPI, database: Database
) -> None:
    held: dict[str, int] = {}

    @app.get("/busy")
    async def busy(db: DbSession) -> None:
        await db.execute(text("SELECT 1"))
        held["in the route"] = checked_out(database)

    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        async def note(message: Message) -> None:
            held.setdefault(message["type"], checked_out(database))
            await send(message)

        await app(scope, receive, note)

    async with AsyncClient(transport=ASGITransport(app=watched), base_url="http://x") as client:
        await client.get("/busy")

    assert (held["in the route"], held["http.response.start"]) == (1, 0)


async def test_authentication_returns_its_connection_before_the_route_runs(
    app: FastAPI, api: Api, database: Database
) -> None:
    account = await api.register()

    @app.get("/held")
    async def count_held(_: CurrentUser, db: DbSession) -> SuccessResponse[int]:
        await db.execute(text("SELECT 1"))
        return success_response(checked_out(database))

    response = await api.client.get("/held", headers=account.headers)

    assert response.json()["data"] == 1
