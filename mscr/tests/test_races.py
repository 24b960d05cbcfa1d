"""Concurrent requests and failed commits: the database always matches the responses."""

import asyncio
import io
from typing import Final

import pytest
from argon2 import PasswordHasher

from examples.catalogue.db.session import Database
from examples.catalogue.models.user import User
from examples.catalogue.tests.api import Api
from mscr.testing.api import PASSWORD
from mscr.testing.databases import on_sqlite
from mscr.testing.problems import problem
from mscr.testing.table_rows import all_rows, set_columns
from mscr.testing.tokens import REFRESH

CALLERS = 20
WRITERS = 50
EMAIL = "ada@example.com"
REGISTER = "/api/v1/auth/register"
LOGIN = "/api/v1/auth/login"
LOGOUT = "/api/v1/auth/logout"

# The requests are sent at once: on a busy machine, the last ones wait longer than the default.
at_once = pytest.mark.settings(DATABASE_LOCK_TIMEOUT_SECONDS=30)

Body = dict[str, str]

# A row whose foreign key is checked at COMMIT, not before.
ORPHANS: Final = (
    "CREATE TABLE orphans (id INTEGER REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED)"
)
SQLITE_TRIGGER: Final = (
    "CREATE TRIGGER spoil AFTER {write} ON {table} BEGIN INSERT INTO orphans VALUES (-1); END",
)
POSTGRESQL_TRIGGER: Final = (
    """CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO orphans VALUES (-1); RETURN NEW; END $$""",
    "CREATE TRIGGER spoil AFTER {write} ON {table} FOR EACH ROW EXECUTE FUNCTION spoil()",
)


async def _spoil_commits(database: Database, *, write: str, table: str) -> None:
    """Make every later transaction that writes to this table in this way fail at its COMMIT."""
    async with database.engine.begin() as connection:
        sqlite = connection.dialect.name == "sqlite"
        for statement in (ORPHANS, *(SQLITE_TRIGGER if sqlite else POSTGRESQL_TRIGGER)):
            await connection.exec_driver_sql(statement.format(write=write, table=table))


@at_once
async def test_concurrent_registrations_of_an_address_succeed_once(
    api: Api, database: Database
) -> None:
    """RC1: the others get 409, however they spell the address. There is one account."""
    spellings = ["ada@example.com", "Ada@Example.com", " ADA@EXAMPLE.COM "]
    calls = [
        api.client.post(REGISTER, json={"email": spellings[i % 3], "password": PASSWORD})
        for i in range(CALLERS)
    ]

    statuses = sorted(response.status_code for response in await asyncio.gather(*calls))

    assert statuses == [201] + [409] * (CALLERS - 1)
    assert len((await all_rows(database))["users"]) == 1


@on_sqlite
@at_once
async def test_concurrent_writers_wait_for_each_other(api: Api, database: Database) -> None:
    """RL12: no request fails because the database is locked."""
    account = await api.register()

    await asyncio.gather(*[api.create_item(account) for _ in range(WRITERS)])

    assert len((await all_rows(database))["items"]) == WRITERS


@pytest.mark.parametrize(
    ("method", "path", "body", "write", "table"),
    [
        ("POST", REGISTER, {"email": "b@example.com", "password": PASSWORD}, "INSERT", "users"),
        ("POST", LOGIN, {"email": EMAIL, "password": PASSWORD}, "INSERT", "refresh_tokens"),
        ("POST", REFRESH, {"refresh_token": "{refresh_token}"}, "UPDATE", "refresh_tokens"),
        ("POST", LOGOUT, {"refresh_token": "{refresh_token}"}, "UPDATE", "refresh_tokens"),
        ("POST", "/api/v1/items", {"title": "A thing"}, "INSERT", "items"),
        ("PATCH", "/api/v1/users/me", {"full_name": "Ada"}, "UPDATE", "users"),
        ("DELETE", "/api/v1/users/me", {"password": PASSWORD}, "UPDATE", "users"),
        ("DELETE", "/api/v1/users/me", {"password": PASSWORD}, "INSERT", "audit_events"),
        ("POST", LOGOUT, {"refresh_token": "{refresh_token}"}, "INSERT", "audit_events"),
        ("POST", "/api/v1/auth/logout-all", {}, "INSERT", "audit_events"),
        ("DELETE", "/api/v1/auth/sessions", {}, "INSERT", "audit_events"),
        ("POST", LOGIN, {"email": EMAIL, "password": PASSWORD}, "INSERT", "audit_events"),
    ],
)
async def test_a_write_that_cannot_be_committed_fails(
    api: Api,
    database: Database,
    log_output: io.StringIO,
    *,
    method: str,
    path: str,
    body: Body,
    write: str,
    table: str,
) -> None:
    """RL8, AU2: the client gets a problem, the database is unchanged, no log claims success."""
    account = await api.login(await api.register(EMAIL))
    body = {name: value.format(**account.tokens) for name, value in body.items()}
    before = await all_rows(database)
    await _spoil_commits(database, write=write, table=table)
    log_output.truncate(0)

    response = await api.client.request(method, path, json=body, headers=account.headers)

    problem(response, 409, "conflict")
    assert await all_rows(database) == before
    assert "outcome" not in log_output.getvalue()


async def test_a_login_that_cannot_be_committed_renews_no_hash(
    api: Api, database: Database
) -> None:
    """RL8, PW5: all changes of a login are one transaction."""
    account = await api.register()
    old = PasswordHasher(time_cost=2, memory_cost=16, parallelism=2).hash(account.password)
    await set_columns(database, User, account.public_id, password_hash=old)
    before = await all_rows(database)
    await _spoil_commits(database, write="INSERT", table="refresh_tokens")

    problem(await api.try_login(account.email, account.password), 409, "conflict")

    assert await all_rows(database) == before


async def test_a_write_succeeds_after_a_failed_commit(api: Api, database: Database) -> None:
    """RL8: the connection can be used again, and so can the token that was not rotated."""
    account = await api.register()
    await _spoil_commits(database, write="UPDATE", table="refresh_tokens")
    await api.refresh(account.refresh_token)
    async with database.engine.begin() as connection:
        await connection.exec_driver_sql(_drop_trigger(connection.dialect.name))

    assert (await api.refresh(account.refresh_token)).status_code == 200


def _drop_trigger(dialect: str) -> str:
    return "DROP TRIGGER spoil" + ("" if dialect == "sqlite" else " ON refresh_tokens")
