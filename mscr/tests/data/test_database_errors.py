"""Mapping of database errors to responses: retry (503), conflict, invalid value, server fault."""

from typing import Any, Final
from uuid import uuid4

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import bindparam, text
from sqlalchemy import insert as insert_statement
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from examples.catalogue.db.session import Database
from examples.catalogue.models.item import Item
from examples.catalogue.models.tag import Tag, item_tags
from examples.catalogue.models.user import User
from examples.catalogue.tests.api import Api
from mscr.db.database_errors import (
    database_problem,
    database_reason,
    is_conflict,
    is_outdated,
)
from mscr.endpoints.database import DbSession
from mscr.models.base import utcnow
from mscr.queries.integrity import violates_unique, violates_uniqueness
from mscr.testing.api import PASSWORD
from mscr.testing.databases import on_postgresql
from mscr.testing.problems import problem

TRY_AGAIN = {
    "08006": "connection failure",
    "25006": "read-only transaction",
    "40001": "serialization failure",
    "40P01": "deadlock",
    "53100": "disk full",
    "53300": "too many connections",
    "55P03": "lock timeout",
    "57014": "statement timeout",
    "57P01": "shutdown",
}
BAD_VALUE = {"22001": "too long", "22003": "out of range", "22021": "NUL", "22P02": "no number"}
CONFLICT = {"23503": "foreign key", "23505": "unique", "23514": "check"}
OUR_FAULT = {
    "23502": "not null",
    "42P01": "no such table",
    "42703": "no such column",
    "42501": "forbidden",
    "XX000": "",
}


@pytest.fixture
def failing(app: FastAPI, client: AsyncClient) -> AsyncClient:
    """Return a client of an application with one route for each kind of failure."""

    @app.get("/raise/{sqlstate}")
    async def fail_with(sqlstate: str, db: DbSession) -> None:
        await db.execute(text(f"DO $$ BEGIN RAISE SQLSTATE '{sqlstate}'; END $$"))

    @app.get("/no-such-table")
    async def ask_no_such_table(db: DbSession) -> None:
        await db.execute(text("SELECT * FROM nonsense"))

    @app.get("/bad-value")
    async def compare_bad_value(db: DbSession) -> None:
        statement = text("SELECT id FROM users WHERE id = :value").bindparams(bindparam("value"))
        await db.execute(statement, {"value": 2**63})

    @app.post("/insert")
    async def insert(db: DbSession) -> None:
        values = dict.fromkeys(("public_id", "email", "email_key", "password_hash"), "canary")
        await db.execute(insert_statement(User).values(values))
        await db.commit()

    @app.post("/insert/{key}")
    async def insert_key(key: int, db: DbSession) -> None:
        names = ("public_id", "email", "email_key", "password_hash")
        values = {name: f"canary-{uuid4().hex}"[:36] for name in names}
        await db.execute(insert_statement(User).values(values | {"id": key}))
        await db.commit()

    @app.post("/insert-null")
    async def insert_null(db: DbSession) -> None:
        statement = "INSERT INTO users (public_id, email, email_key) VALUES ('canary', 'b', 'b')"
        await db.execute(text(statement))

    @app.post("/link-twice")
    async def link_twice(db: DbSession) -> None:
        owner = User(email="a", email_key="a", password_hash="!")
        db.add(owner)
        await db.flush()
        item, tag = Item(title="x", owner_id=owner.id), Tag(name="x", name_key="x", owner=owner)
        db.add_all([item, tag])
        await db.flush()
        link = {"item_id": item.id, "tag_id": tag.id, "public_id": "x", "created_at": utcnow()}
        await db.execute(insert_statement(item_tags).values([link, link]))

    return client


@on_postgresql
@pytest.mark.parametrize("sqlstate", TRY_AGAIN)
async def test_a_transient_error_is_503(failing: AsyncClient, sqlstate: str) -> None:
    """RL1 to RL6."""
    response = await failing.get(f"/raise/{sqlstate}")

    problem(response, 503, "service_unavailable")
    assert int(response.headers["retry-after"]) > 0


@on_postgresql
@pytest.mark.parametrize("sqlstate", BAD_VALUE)
async def test_a_value_that_the_database_refuses_is_422(
    failing: AsyncClient, sqlstate: str
) -> None:
    problem(await failing.get(f"/raise/{sqlstate}"), 422, "validation_failed")


@on_postgresql
async def test_a_value_that_the_driver_refuses_is_422(failing: AsyncClient) -> None:
    problem(await failing.get("/bad-value"), 422, "validation_failed")


@on_postgresql
@pytest.mark.parametrize("sqlstate", CONFLICT)
async def test_an_unforeseen_constraint_violation_is_409(
    failing: AsyncClient, sqlstate: str
) -> None:
    problem(await failing.get(f"/raise/{sqlstate}"), 409, "conflict")


@on_postgresql
@pytest.mark.parametrize("sqlstate", OUR_FAULT)
async def test_a_server_fault_is_500(failing: AsyncClient, sqlstate: str) -> None:
    problem(await failing.get(f"/raise/{sqlstate}"), 500, "internal_error")


@pytest.mark.parametrize(
    ("paths", "reason"),
    [
        (["/insert/7", "/insert/7"], ("pk_users", "users.id")),
        (["/link-twice"], ("pk_item_tags", "item_tags.item_id")),
        (["/insert-null"], ("password_hash", "password_hash")),
    ],
)
async def test_a_violation_that_no_client_can_cause_is_a_server_fault(
    failing: AsyncClient,
    paths: list[str],
    reason: tuple[str, str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """ER1, ER3: no client can cause it. The log names the constraint or column, and no value."""
    responses = [await failing.post(path) for path in paths]

    problem(responses[-1], 500, "internal_error")
    [event] = [r for r in caplog.records if r.name == "mscr.http.problems"]
    assert event.levelname == "ERROR"
    assert any(word in str(event.msg) for word in reason)
    assert "canary-" not in caplog.text
    assert "DETAIL" not in caplog.text


@on_postgresql
async def test_a_sequence_behind_its_table_is_a_server_fault(api: Api, database: Database) -> None:
    """ER1: a bad restore leaves a sequence behind its table. A client's retry would not help."""
    await api.register()
    async with database.engine.begin() as connection:
        await connection.exec_driver_sql("SELECT setval('users_id_seq', 1, false)")

    body = {"email": "ada@example.com", "password": PASSWORD}
    problem(await api.client.post("/api/v1/auth/register", json=body), 500, "internal_error")


async def test_the_log_has_the_message_of_the_database(
    failing: AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """The log shows a missing migration: on SQLite, its 503 would look like an outage."""
    await failing.get("/no-such-table")

    [event] = [r for r in caplog.records if r.name == "mscr.http.problems"]
    assert "nonsense" in str(event.msg)


@on_postgresql
async def test_the_log_does_not_repeat_a_bad_value(
    failing: AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """ER3."""
    await failing.get("/bad-value")

    assert str(2**63) not in caplog.text


async def test_the_log_does_not_repeat_the_values_of_a_conflict(
    failing: AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """ER3: PostgreSQL quotes the key and, for some constraints, the whole row."""
    responses = [await failing.post("/insert") for _ in range(2)]

    [event] = [r for r in caplog.records if r.name == "mscr.http.problems"]
    assert [response.status_code for response in responses] == [200, 409]
    assert "unique constraint" in str(event.msg).lower()
    assert "canary" not in caplog.text


class Hostile(Exception):  # noqa: N818  # a fake
    """An exception whose text and attributes cannot be read. No library should raise it."""

    def __str__(self) -> str:
        raise ValueError("no text")

    @property
    def sqlstate(self) -> str:
        raise ValueError("no state")

    @property
    def driver_exception(self) -> Exception:
        raise ValueError("no exception")

    @property
    def sqlite_errorcode(self) -> int:
        raise RuntimeError("no code")


class Odd(Exception):  # noqa: N818  # a fake
    sqlstate = 42
    sqlite_errorcode = "busy"
    driver_exception = None
    orig = "no exception"


def of_driver(orig: Any, kind: type[DBAPIError] = DBAPIError) -> DBAPIError:
    return kind("SELECT 1", {}, orig)


STRANGE: Final[list[BaseException]] = [
    of_driver(Hostile()),
    of_driver(Odd()),
    of_driver(None),
    of_driver("a text"),
    of_driver(of_driver(Hostile())),
    of_driver(Hostile(), IntegrityError),
    of_driver(None, IntegrityError),
    of_driver(Hostile(), OperationalError),
    Hostile(),
    KeyboardInterrupt(),
    ExceptionGroup("several", [of_driver(Hostile()), TimeoutError()]),
    BaseExceptionGroup("several", [BaseExceptionGroup("more", [KeyboardInterrupt()])]),
]


@pytest.mark.parametrize("error", STRANGE, ids=[str(number) for number in range(len(STRANGE))])
def test_the_mapper_returns_a_problem_for_any_exception(error: BaseException) -> None:
    problem = database_problem(error)

    assert problem.status in {409, 500, 503}
    assert isinstance(database_reason(error), str)
    assert is_outdated(error) is False
    if isinstance(error, DBAPIError):
        assert is_conflict(error) is False
    if isinstance(error, IntegrityError):
        assert violates_unique(error, User, "uq_users_email_key_living") is False
        assert violates_uniqueness(error) is False


def test_an_exception_group_with_a_server_fault_is_a_server_fault() -> None:
    outage, fault = TimeoutError(), KeyError()

    assert database_problem(ExceptionGroup("", [outage, outage])).status == 503
    assert database_problem(ExceptionGroup("", [outage, fault, outage])).status == 500


async def test_an_unreadable_error_gets_an_error_response(
    app: FastAPI, client: AsyncClient
) -> None:
    kinds = {"fault": DBAPIError, "outage": OperationalError, "conflict": IntegrityError}

    @app.get("/hostile")
    async def fail(kind: str) -> None:
        raise of_driver(Hostile(), kinds[kind])

    problem(await client.get("/hostile?kind=fault"), 500, "internal_error")
    problem(await client.get("/hostile?kind=outage"), 503, "service_unavailable")
    problem(await client.get("/hostile?kind=conflict"), 409, "conflict")
