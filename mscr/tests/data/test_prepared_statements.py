"""Prepared statements that bypass the session: their transactions, connections and errors."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import Integer, bindparam, event, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from examples.catalogue.db.session import Database
from examples.catalogue.models.tables import TABLES
from examples.catalogue.models.user import User
from examples.catalogue.repositories.item_view import SHOWN
from mscr.db.compiled_statement import TRACERS
from mscr.db.shared_connection import shared_connection
from mscr.models.base import UTCDateTime, utcnow
from mscr.queries.prepared_statement import PreparedStatement
from mscr.repositories.refresh_token_repository import RefreshTokenRepository
from mscr.repositories.token_rotation import RotationStatements
from mscr.testing.databases import checked_out, on_postgresql
from mscr.testing.waiting import is_waiting, until
from mscr.tests.data.conftest import make_user

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

FIND = PreparedStatement(select(User.public_id).where(User.email_key == bindparam("key")))


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
    """Record the connections that are taken from the pool from now on."""
    drivers: list[Any] = []
    event.listen(
        database.engine.sync_engine,
        "checkout",
        lambda _, entry, __: drivers.append(entry.driver_connection),
    )
    return drivers


async def test_a_change_is_committed_even_if_the_session_rolls_back(
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


async def test_no_matching_row_is_none(database: Database, users: list[User]) -> None:
    found = await RENAME.one_or_none(database.engine, key="c@example.com", name="C", now=utcnow)
    assert found is None


async def test_an_error_has_the_class_that_a_session_gives_it(
    database: Database, users: list[User]
) -> None:
    with pytest.raises(IntegrityError):
        await TAKE.all(database.engine, key="a@example.com", taken="b@example.com")

    assert await names_in(database) == {"a@example.com": None, "b@example.com": None}


@on_postgresql
async def test_a_change_whose_connection_breaks_is_not_retried(
    database: Database, users: list[User]
) -> None:
    """The first attempt may have been committed."""
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


async def test_a_self_committing_statement_is_refused_in_a_transaction(
    database: Database, users: list[User]
) -> None:
    async with database.sessions.begin() as session:
        with pytest.raises(TypeError):
            await RENAME.all(session, key="a@example.com", name="Ada", now=utcnow)


def test_statements_are_compiled_for_each_dialect() -> None:
    ways: list[tuple[Any, str, str]] = [
        (postgresql, "json_agg", "clock_timestamp()"),
        (sqlite, "json_group_array", "? AS read_at"),
    ]
    find_family = TABLES.prepared(RotationStatements).find_family
    for database, tags, clock in ways:
        dialect = database.dialect()
        assert tags in str(SHOWN.compile(dialect=dialect))
        assert clock in str(find_family.statement.compile(dialect=dialect))


@on_postgresql
async def test_a_statement_that_cannot_be_prepared_is_refused(database: Database) -> None:
    some = PreparedStatement(select(User.email_key).where(User.full_name.in_(["Ada", "Eva"])))
    with pytest.raises(TypeError):
        await some.all(database.engine)


async def test_a_change_on_the_connection_of_a_test_is_rolled_back_with_it(
    database: Database, users: list[User]
) -> None:
    """A session bound to a connection whose transaction a test rolls back at its end."""
    async with database.engine.connect() as connection:
        async with AsyncSession(connection) as session:
            row = await RENAME.one_or_none(session, key="a@example.com", name="Ada", now=utcnow)
        await connection.rollback()

    assert row is not None
    assert await names_in(database) == {"a@example.com": None, "b@example.com": None}


@on_postgresql
async def test_a_failed_statement_costs_no_connection(
    database: Database, users: list[User]
) -> None:
    opened: list[Any] = []
    event.listen(database.engine.sync_engine, "connect", lambda *_: opened.append(1))
    for _ in range(3):
        with pytest.raises(IntegrityError):
            await TAKE.all(database.engine, key="a@example.com", taken="b@example.com")

    assert len(opened) <= 1


@on_postgresql
async def test_statements_on_one_connection_are_committed_one_by_one(
    database: Database, users: list[User]
) -> None:
    taken = drivers_of(database)
    async with database.sessions() as session:
        with shared_connection(session):
            for name in ("Ada", "Eva"):
                await RENAME.all(session, key="a@example.com", name=name, now=utcnow)
                assert (await names_in(database))["a@example.com"] == name
        assert checked_out(database) == 0
        await RENAME.all(session, key="b@example.com", name="Bea", now=utcnow)

    assert (len(taken), checked_out(database)) == (2, 0)


@on_postgresql
async def test_a_nested_one_connection_block_uses_the_same_connection(
    database: Database, users: list[User]
) -> None:
    taken = drivers_of(database)
    async with database.sessions() as session:
        with shared_connection(session):
            await RENAME.all(session, key="a@example.com", name="Ada", now=utcnow)
            with shared_connection(session):
                await RENAME.all(session, key="a@example.com", name="Eva", now=utcnow)
            await RENAME.all(session, key="b@example.com", name="Bea", now=utcnow)

    assert (len(taken), checked_out(database)) == (1, 0)


@on_postgresql
async def test_one_connection_survives_an_error_and_is_replaced_when_it_breaks(
    database: Database, users: list[User]
) -> None:
    drivers = drivers_of(database)
    async with database.sessions() as session:
        with shared_connection(session):
            await RENAME.all(session, key="a@example.com", name="Ada", now=utcnow)
            with pytest.raises(IntegrityError):
                await TAKE.all(session, key="a@example.com", taken="b@example.com")
            await RENAME.all(session, key="b@example.com", name="Bea", now=utcnow)
            drivers[-1].terminate()
            await RENAME.all(session, key="a@example.com", name="Eva", now=utcnow)

    assert await names_in(database) == {"a@example.com": "Eva", "b@example.com": "Bea"}
    assert checked_out(database) == 0


async def test_one_connection_is_released_before_slow_work_and_at_the_end(
    database: Database, users: list[User]
) -> None:
    async with database.sessions() as session:
        repository = RefreshTokenRepository(session, TABLES)
        with repository.shared_connection():
            await RENAME.all(session, key="a@example.com", name="Ada", now=utcnow)
            await repository.release()
            assert checked_out(database) == 0
            await RENAME.all(session, key="a@example.com", name="Eva", now=utcnow)
        assert checked_out(database) == 0

    assert (await names_in(database))["a@example.com"] == "Eva"


async def test_the_error_of_a_value_without_a_parameter_names_it(
    database: Database, users: list[User]
) -> None:
    """Otherwise a column that was added to the model, and not to the statement, would be lost."""
    values = {"key": "a@example.com", "name": "Ada", "now": utcnow()}
    with pytest.raises(TypeError, match="no bind parameter is_active"):
        await RENAME.all(database.engine, is_active=False, **values)

    assert (await names_in(database))["a@example.com"] is None


async def test_the_error_of_a_missing_value_names_it(database: Database, users: list[User]) -> None:
    with pytest.raises(TypeError, match="a value for name, now"):
        await RENAME.all(database.engine, key="a@example.com")


async def test_values_are_checked_in_a_transaction_too(
    database: Database, users: list[User]
) -> None:
    async with database.sessions.begin() as session:
        for wrong, match in (({"id": 1}, "parameter id"), ({}, "value for key")):
            with pytest.raises(TypeError, match=match):
                await FIND.all(session, **wrong)
        found = await FIND.one_or_none(session, key="a@example.com")

    assert found.public_id == users[0].public_id


async def test_a_parameter_that_has_a_default_may_be_given(
    database: Database, users: list[User]
) -> None:
    values = {"key": "a@example.com", "name": "Ada", "now": utcnow}
    for given, version in (({}, 2), ({"one": 5}, 7)):
        row = await RENAME.one_or_none(database.engine, **values, **given)
        assert row.version == version


@pytest.mark.parametrize("hidden", [False, True])
async def test_the_log_of_the_engine_has_the_statement_and_its_values(
    database: Database, users: list[User], caplog: pytest.LogCaptureFixture, hidden: bool
) -> None:
    engine = database.engine.sync_engine
    engine.hide_parameters = hidden
    await FIND.all(database.engine, key="a@example.com")
    assert not caplog.messages
    engine.echo = True
    await FIND.all(database.engine, key="a@example.com")
    engine.echo = False

    said = "\n".join(caplog.messages)
    assert "FROM users" in said
    assert ("a@example.com" in said) is not hidden


@on_postgresql
async def test_a_tracer_wraps_statements_that_bypass_the_events_of_the_engine(
    database: Database, users: list[User]
) -> None:
    seen: list[str] = []

    @contextmanager
    def trace(engine: AsyncEngine, statement: str) -> Iterator[None]:
        seen.append(statement.split(maxsplit=1)[0])
        try:
            yield
        except Exception as error:
            seen.append(type(error).__name__)
            raise
        seen.append(engine.dialect.name)

    TRACERS.append(trace)
    try:
        await FIND.all(database.engine, key="a@example.com")
        with pytest.raises(IntegrityError):
            await TAKE.all(database.engine, key="a@example.com", taken="b@example.com")
    finally:
        TRACERS.remove(trace)

    assert seen == ["SELECT", "postgresql", "UPDATE", "UniqueViolationError"]
