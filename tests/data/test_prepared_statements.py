"""Statements past the session: what becomes of them, and of their errors."""

import asyncio
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import Integer, bindparam, event, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.session import Database
from app.models import User
from app.models.base import UTCDateTime, utcnow
from app.repositories.item_view import SHOWN
from app.repositories.prepared_statement import PreparedStatement, one_connection
from app.repositories.refresh_token_repository import RefreshTokenRepository
from app.repositories.token_rotation import FIND_FAMILY
from tests.data.conftest import make_user
from tests.data.faults import is_waiting, until
from tests.support.databases import checked_out, on_postgresql

RENAME = PreparedStatement(
    update(User)
    .where(User.email_key == bindparam("key"))
    .values(
        full_name=bindparam("name"),
        updated_at=bindparam("now", type_=UTCDateTime()),
        version=User.version + bindparam("one", 1, Integer),
    )
    .returning(User.version)
)
TAKE = PreparedStatement(
    update(User)
    .where(User.email_key == bindparam("key"))
    .values(email_key=bindparam("taken"), updated_at=User.updated_at, version=User.version)
)


@pytest.fixture
async def users(database: Database) -> list[User]:
    made = [make_user("a@example.com"), make_user("b@example.com")]
    async with database.sessions.begin() as session:
        session.add_all(made)
    return made


async def names_in(database: Database) -> dict[str, Any]:
    async with database.read_sessions() as session:
        rows = await session.execute(select(User.email_key, User.full_name))
        return {row.email_key: row.full_name for row in rows}


def drivers_of(database: Database) -> list[Any]:
    """The connections that are taken from the pool from now on."""
    drivers: list[Any] = []
    event.listen(
        database.engine.sync_engine,
        "checkout",
        lambda _, entry, __: drivers.append(entry.driver_connection),
    )
    return drivers


async def test_a_change_is_committed_at_once_whatever_becomes_of_the_session(
    database: Database, users: list[User]
) -> None:
    called: list[datetime] = []

    def now() -> datetime:
        called.append(utcnow())
        return called[-1]

    async with database.sessions() as session:
        row = await RENAME.one_or_none(session, key="a@example.com", name="Ada", now=now)
        await session.rollback()

    assert row is not None
    assert (row[0], len(called)) == (2, 1)
    assert await names_in(database) == {"a@example.com": "Ada", "b@example.com": None}
    async with database.read_sessions() as session:
        assert await session.scalar(select(User.updated_at).filter_by(full_name="Ada")) == called[0]


async def test_who_is_not_there_is_no_row(database: Database, users: list[User]) -> None:
    found = await RENAME.one_or_none(database.engine, key="c@example.com", name="C", now=utcnow)
    assert found is None


async def test_what_the_database_refuses_has_the_class_that_a_session_gives_it(
    database: Database, users: list[User]
) -> None:
    with pytest.raises(IntegrityError):
        await TAKE.all(database.engine, key="a@example.com", taken="b@example.com")

    assert await names_in(database) == {"a@example.com": None, "b@example.com": None}


@on_postgresql
async def test_a_change_whose_connection_breaks_is_not_made_once_more(
    database: Database, users: list[User]
) -> None:
    """Nobody knows whether it was made."""
    drivers = drivers_of(database)
    async with database.sessions.begin() as session, database.read_engine.connect() as watcher:
        await session.execute(update(User).values(full_name="held"))
        renaming = asyncio.create_task(
            RENAME.all(database.engine, key="a@example.com", name="Ada", now=utcnow)
        )
        await until(lambda: is_waiting(watcher))
        drivers[-1].terminate()
        with pytest.raises(ConnectionError):
            await renaming


async def test_what_is_committed_at_once_is_refused_in_a_transaction(
    database: Database, users: list[User]
) -> None:
    async with database.sessions.begin() as session:
        with pytest.raises(TypeError):
            await RENAME.all(session, key="a@example.com", name="Ada", now=utcnow)


def test_what_the_databases_say_in_their_own_ways_is_compiled_for_each() -> None:
    ways: list[tuple[Any, str, str]] = [
        (postgresql, "json_agg", "clock_timestamp()"),
        (sqlite, "json_group_array", "? AS read_at"),
    ]
    for database, tags, clock in ways:
        dialect = database.dialect()
        assert tags in str(SHOWN.compile(dialect=dialect))
        assert clock in str(FIND_FAMILY.statement.compile(dialect=dialect))


@on_postgresql
async def test_what_cannot_be_prepared_is_refused(database: Database) -> None:
    some = PreparedStatement(select(User.email_key).where(User.full_name.in_(["Ada", "Eva"])))
    with pytest.raises(TypeError):
        await some.all(database.engine)


async def test_a_test_s_own_connection_has_the_last_word(
    database: Database, users: list[User]
) -> None:
    """A session on a connection, whose transaction is rolled back after each test."""
    async with database.engine.connect() as connection:
        async with AsyncSession(connection) as session:
            row = await RENAME.one_or_none(session, key="a@example.com", name="Ada", now=utcnow)
        await connection.rollback()

    assert row is not None
    assert await names_in(database) == {"a@example.com": None, "b@example.com": None}


@on_postgresql
async def test_a_statement_that_is_refused_costs_no_connection(
    database: Database, users: list[User]
) -> None:
    opened: list[Any] = []
    event.listen(database.engine.sync_engine, "connect", lambda *_: opened.append(1))
    for _ in range(3):
        with pytest.raises(IntegrityError):
            await TAKE.all(database.engine, key="a@example.com", taken="b@example.com")

    assert len(opened) <= 1


@on_postgresql
async def test_statements_of_one_connection_take_one_and_are_committed_one_by_one(
    database: Database, users: list[User]
) -> None:
    taken = drivers_of(database)
    async with database.sessions() as session:
        with one_connection(session):
            for name in ("Ada", "Eva"):
                await RENAME.all(session, key="a@example.com", name=name, now=utcnow)
                assert (await names_in(database))["a@example.com"] == name
        assert checked_out(database) == 0
        await RENAME.all(session, key="b@example.com", name="Bea", now=utcnow)

    assert (len(taken), checked_out(database)) == (2, 0)


@on_postgresql
async def test_one_connection_within_another_is_the_same(
    database: Database, users: list[User]
) -> None:
    taken = drivers_of(database)
    async with database.sessions() as session:
        with one_connection(session):
            await RENAME.all(session, key="a@example.com", name="Ada", now=utcnow)
            with one_connection(session):
                await RENAME.all(session, key="a@example.com", name="Eva", now=utcnow)
            await RENAME.all(session, key="b@example.com", name="Bea", now=utcnow)

    assert (len(taken), checked_out(database)) == (1, 0)


@on_postgresql
async def test_one_connection_goes_on_after_a_refusal_and_with_another_one_when_it_is_gone(
    database: Database, users: list[User]
) -> None:
    drivers = drivers_of(database)
    async with database.sessions() as session:
        with one_connection(session):
            await RENAME.all(session, key="a@example.com", name="Ada", now=utcnow)
            with pytest.raises(IntegrityError):
                await TAKE.all(session, key="a@example.com", taken="b@example.com")
            await RENAME.all(session, key="b@example.com", name="Bea", now=utcnow)
            drivers[-1].terminate()
            await RENAME.all(session, key="a@example.com", name="Eva", now=utcnow)

    assert await names_in(database) == {"a@example.com": "Eva", "b@example.com": "Bea"}
    assert checked_out(database) == 0


async def test_one_connection_is_given_back_before_slow_work_and_at_the_end(
    database: Database, users: list[User]
) -> None:
    async with database.sessions() as session:
        repository = RefreshTokenRepository(session)
        with repository.one_connection():
            await RENAME.all(session, key="a@example.com", name="Ada", now=utcnow)
            await repository.release()
            assert checked_out(database) == 0
            await RENAME.all(session, key="a@example.com", name="Eva", now=utcnow)
        assert checked_out(database) == 0

    assert (await names_in(database))["a@example.com"] == "Eva"
