"""Schema changes beside a running release: no request fails, and cached plans are renewed."""

import asyncio
import io
from collections.abc import Awaitable, Callable
from itertools import cycle
from typing import Any, Final

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import bindparam, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from examples.catalogue.db.session import Database
from examples.catalogue.models.item import Item
from examples.catalogue.models.user import User
from examples.catalogue.repositories.user_repository import UserRepository
from examples.catalogue.tests.api import Api
from mscr.db.database_errors import is_outdated
from mscr.endpoints.database import DbSession
from mscr.http.routing import Router
from mscr.queries.prepared_statement import PreparedStatement
from mscr.services.unit_of_work import retried
from mscr.testing.api import Account
from mscr.testing.databases import checked_out, on_postgresql
from mscr.testing.waiting import connection_to
from mscr.tests.data.conftest import make_user
from mscr.tests.data.faults import assert_unavailable

# Changes that docs/database.md calls free: PostgreSQL rewrites no row.
COLUMNS: Final = (("items", "status"), ("users", "full_name"), ("tags", "name"), ("users", "email"))
LENGTHS: Final = cycle(range(400, 500))
WORKERS: Final = 4
ROUNDS: Final = 3

USERS: Final = select(User.full_name, User.email)
ITEMS: Final = select(Item.title)
RENAME: Final = PreparedStatement(
    update(User).values(full_name=bindparam("name"), updated_at=User.updated_at, version=1)
)

pytestmark = on_postgresql


async def enlarge(url: str, *columns: tuple[str, str]) -> None:
    async with connection_to(url) as connection:
        for table, column in columns:
            await connection.exec_driver_sql(
                f"ALTER TABLE {table} ALTER COLUMN {column} TYPE varchar({next(LENGTHS)})"
            )


async def use(api: Api, account: Account, statuses: list[int]) -> None:
    """Create, read in every way, change and delete an item, once each."""

    async def call(method: str, path: str, **options: Any) -> Any:
        path = f"/api/v1/{path}"
        response = await api.client.request(method, path, headers=account.headers, **options)
        statuses.append(response.status_code)
        return response.json() if response.content else {}

    made = await call("POST", "items", json={"title": "Buy milk", "tags": ["home"]})
    if not made.get("success"):
        return
    public_id = made["data"]["public_id"]
    await call("GET", f"items/{public_id}")
    await call("GET", "items?per_page=5&page=1")
    await call("GET", "items/my?q=milk")
    await call("PATCH", f"items/{public_id}", json={"title": "Buy bread", "tags": ["work"]})
    await call("GET", "users/me")
    await call("PATCH", "users/me", json={"full_name": "Ada"})
    await call("GET", "tags")
    await call("DELETE", f"items/{public_id}")
    await call("GET", "auth/sessions")


@pytest.mark.settings(DATABASE_POOL_TIMEOUT_SECONDS=30)
async def test_a_column_is_enlarged_under_load_without_one_failed_request(
    api: Api, database_url: str
) -> None:
    accounts = [await api.register() for _ in range(WORKERS)]
    statuses: list[int] = []
    await asyncio.gather(*(use(api, account, statuses) for account in accounts))

    async def keep_using(account: Account) -> None:
        for _ in range(ROUNDS):
            await use(api, account, statuses)

    using = [asyncio.create_task(keep_using(account)) for account in accounts]
    while not all(task.done() for task in using):
        await enlarge(database_url, *COLUMNS)
        await asyncio.sleep(0.05)
    await asyncio.gather(*using)

    assert len(statuses) == WORKERS * (1 + ROUNDS) * 10
    assert [status for status in statuses if status >= 400] == []


@pytest.fixture
async def changing(app: FastAPI, client: AsyncClient, database_url: str) -> AsyncClient:
    """Return a client of routes during which the schema changes, the first time they are called."""
    changes = iter([("users", "full_name")])
    router = Router()

    async def change(session: AsyncSession) -> list[str | None]:
        if column := next(changes, None):
            # The connection that the session will use has prepared the statement by then.
            await session.execute(USERS)
            await session.rollback()
            await session.execute(ITEMS)
            await enlarge(database_url, column)
        await session.execute(ITEMS)
        return list((await session.execute(USERS)).scalars())

    @router.post("/changes")
    async def change_alone(session: DbSession, body: dict[str, str]) -> list[str | None]:
        await session.execute(update(User).values(full_name=body["name"]))
        names = await change(session)
        await session.commit()
        return names

    @router.post("/changes-after-a-commit")
    async def change_after_commit(session: DbSession) -> list[str | None]:
        await session.execute(ITEMS)
        await session.commit()
        return await change(session)

    @router.post("/changes-after-a-prepared-write")
    async def change_after_prepared_write(session: DbSession) -> list[str | None]:
        await RENAME.all(session, name="Eva")
        return await change(session)

    app.include_router(router)
    return client


async def test_a_request_whose_transaction_is_lost_is_retried(
    changing: AsyncClient, database: Database, warm: User, log_output: io.StringIO
) -> None:
    answer = await changing.post("/changes", json={"name": "Ada"})

    assert (answer.status_code, answer.json()) == (200, ["Ada"])
    assert checked_out(database) == 0
    assert log_output.getvalue().count("request_handled_again") == 1


@pytest.mark.parametrize("path", ["/changes-after-a-commit", "/changes-after-a-prepared-write"])
async def test_a_request_that_has_committed_is_not_retried(
    changing: AsyncClient, warm: User, path: str
) -> None:
    assert_unavailable(await changing.post(path))


async def test_other_errors_are_not_retried(changing: AsyncClient, app: FastAPI) -> None:
    calls: list[int] = []
    router = Router()

    @router.get("/fails")
    async def fail(session: DbSession) -> None:
        calls.append(1)
        await session.execute(text("SELECT nonsense"))

    app.include_router(router)

    assert (await changing.get("/fails")).status_code == 500
    assert len(calls) == 1


@pytest.fixture
async def warm(database: Database) -> User:
    """Return a user. The connections below have prepared the statements that follow."""
    user = make_user("ada@example.com")
    async with database.sessions.begin() as session:
        session.add(user)
    return user


async def test_a_reading_statement_is_prepared_again(
    database: Database, warm: User, database_url: str
) -> None:
    for _ in range(2):
        async with database.read_sessions() as session:
            assert len((await session.execute(USERS)).all()) == 1
        await enlarge(database_url, ("users", "full_name"))


async def test_the_first_statement_of_a_transaction_is_prepared_again(
    database: Database, warm: User, database_url: str
) -> None:
    for number in range(3):
        async with database.sessions.begin() as session:
            assert len((await session.execute(USERS)).all()) == 1
            await session.execute(update(User).values(full_name=str(number)))
        await enlarge(database_url, ("users", "full_name"))

    async with database.read_sessions() as session:
        assert (await session.scalars(select(User.full_name))).all() == ["2"]


async def test_an_outdated_plan_on_one_connection_invalidates_those_of_the_others(
    database: Database, warm: User, database_url: str
) -> None:
    """Otherwise another connection would use its outdated plan and lose its transaction."""
    async with database.sessions() as session:
        await session.execute(USERS)
        await session.rollback()
        await enlarge(database_url, ("users", "full_name"))
        async with database.read_sessions() as other:
            await other.execute(USERS)
            await enlarge(database_url, ("users", "full_name"))
            await other.execute(USERS)

        await session.execute(ITEMS)
        assert len((await session.execute(USERS)).all()) == 1


async def test_a_use_case_whose_transaction_is_lost_is_retried(
    database: Database, warm: User, database_url: str
) -> None:
    columns = iter([("users", "full_name")])

    class Renaming:
        def __init__(self, session: AsyncSession) -> None:
            self.repo = UserRepository(session)

        @retried
        async def read(self) -> int:
            session = self.repo.session
            await session.execute(ITEMS)
            if column := next(columns, None):
                await enlarge(database_url, column)
            return len((await session.execute(USERS)).all())

    async with database.sessions() as session:
        await session.execute(USERS)
        await session.rollback()
        assert await Renaming(session).read() == 1


async def stream(session: AsyncSession) -> None:
    assert await (await session.stream(select(text("1")))).all() == [(1,)]


async def do_many(session: AsyncSession) -> None:
    values = [{"key": "nobody", "name": "Ada"}, {"key": "no-one", "name": "Eva"}]
    await session.execute(text("UPDATE users SET full_name = :name WHERE email = :key"), values)


@pytest.mark.parametrize("begin", [stream, do_many])
async def test_a_transaction_begun_by_a_stream_or_executemany_is_lost(
    database: Database, warm: User, database_url: str, begin: Callable[..., Awaitable[None]]
) -> None:
    async with database.sessions() as session:
        await session.execute(USERS)
        await session.rollback()
        await enlarge(database_url, ("users", "full_name"))
        await begin(session)
        with pytest.raises(DBAPIError) as refused:
            await session.execute(USERS)

    assert is_outdated(refused.value)


async def test_a_recreated_type_causes_no_error(database: Database, database_url: str) -> None:
    async with connection_to(database_url) as connection, database.read_sessions() as session:
        await connection.exec_driver_sql("CREATE TYPE mood AS ENUM ('sad')")
        await connection.exec_driver_sql("CREATE TABLE moods (mood mood)")
        statement = text("SELECT mood FROM moods WHERE mood = CAST(:mood AS mood)")
        await session.execute(statement, {"mood": "sad"})
        for change in (
            "ALTER TABLE moods ALTER mood TYPE text",
            "DROP TYPE mood",
            "CREATE TYPE mood AS ENUM ('sad', 'glad')",
            "ALTER TABLE moods ALTER mood TYPE mood USING mood::mood",
        ):
            await connection.exec_driver_sql(change)

        assert (await session.execute(statement, {"mood": "sad"})).all() == []


async def test_a_statement_that_bypasses_the_session_is_prepared_again(
    database: Database, warm: User, database_url: str
) -> None:
    prepared = PreparedStatement(USERS)
    for _ in range(2):
        assert len(await prepared.all(database.engine)) == 1
        await enlarge(database_url, ("users", "full_name"))
