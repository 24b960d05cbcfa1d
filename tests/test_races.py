"""Many at once, and commits that fail: what the database has is what clients were told."""

import asyncio
import io
from typing import Final

import pytest
from argon2 import PasswordHasher

from app.db.session import Database
from app.models import User
from tests.support.api import PASSWORD, Api
from tests.support.databases import on_sqlite
from tests.support.problems import problem
from tests.support.table_rows import all_rows, set_columns
from tests.support.tokens import REFRESH

CALLERS = 20
WRITERS = 50
EMAIL = "ada@example.com"
REGISTER = "/api/v1/auth/register"
LOGIN = "/api/v1/auth/login"
LOGOUT = "/api/v1/auth/logout"

Body = dict[str, str]

# An orphan whose foreign key is looked at when the transaction is committed, and not before.
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
    """From now on a transaction that writes so to this table fails at its COMMIT."""
    async with database.engine.begin() as connection:
        sqlite = connection.dialect.name == "sqlite"
        for statement in (ORPHANS, *(SQLITE_TRIGGER if sqlite else POSTGRESQL_TRIGGER)):
            await connection.exec_driver_sql(statement.format(write=write, table=table))


async def test_one_of_many_registrations_of_an_address_wins(api: Api, database: Database) -> None:
    """RC1: the others are told 409, however the address was typed; there is one account."""
    spellings = ["ada@example.com", "Ada@Example.com", " ADA@EXAMPLE.COM "]
    calls = [
        api.client.post(REGISTER, json={"email": spellings[i % 3], "password": PASSWORD})
        for i in range(CALLERS)
    ]

    statuses = sorted(response.status_code for response in await asyncio.gather(*calls))

    assert statuses == [201] + [409] * (CALLERS - 1)
    assert len((await all_rows(database))["users"]) == 1


@on_sqlite
async def test_many_writers_wait_for_one_another(api: Api, database: Database) -> None:
    """RL12: none is told that the database is locked."""
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
async def test_write_that_cannot_be_committed_is_no_success(
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
    """RL8, AU2: the client gets a problem, the database is as it was, and no log says otherwise."""
    account = await api.login(await api.register(EMAIL))
    body = {name: value.format(**account.tokens) for name, value in body.items()}
    before = await all_rows(database)
    await _spoil_commits(database, write=write, table=table)
    log_output.truncate(0)

    response = await api.client.request(method, path, json=body, headers=account.headers)

    problem(response, 409, "conflict")
    assert await all_rows(database) == before
    assert "outcome" not in log_output.getvalue()


async def test_login_that_cannot_be_committed_renews_no_hash(api: Api, database: Database) -> None:
    """RL8, PW5: what a login changes is one transaction."""
    account = await api.register()
    old = PasswordHasher(time_cost=2, memory_cost=16, parallelism=2).hash(account.password)
    await set_columns(database, User, account.public_id, password_hash=old)
    before = await all_rows(database)
    await _spoil_commits(database, write="INSERT", table="refresh_tokens")

    problem(await api.try_login(account.email, account.password), 409, "conflict")

    assert await all_rows(database) == before


async def test_write_succeeds_after_one_that_could_not_be_committed(
    api: Api, database: Database
) -> None:
    """RL8: the connection is good for the next one, and a token that was not rotated too."""
    account = await api.register()
    await _spoil_commits(database, write="UPDATE", table="refresh_tokens")
    await api.refresh(account.refresh_token)
    async with database.engine.begin() as connection:
        await connection.exec_driver_sql(_drop_trigger(connection.dialect.name))

    assert (await api.refresh(account.refresh_token)).status_code == 200


def _drop_trigger(dialect: str) -> str:
    return "DROP TRIGGER spoil" + ("" if dialect == "sqlite" else " ON refresh_tokens")
