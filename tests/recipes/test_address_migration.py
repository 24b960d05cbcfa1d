"""Revision 0004: accounts keep working when email addresses are looked up by a new key."""

import asyncio
import os
import sys
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from argon2 import PasswordHasher
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from app.core.config import PROJECT_ROOT, Settings
from app.main import create_app
from mscr.db.migrations import alembic_config
from mscr.models.email_key import email_key
from mscr.testing.applications import running
from mscr.testing.commands import finish, start

HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
# In order of registration: the address, and the lookup key that was computed from it then.
ACCOUNTS = (
    ("bob@example.com", "bob@example.com"),
    ("ada@xn--strae-oqa.de", "ada@xn--strae-oqa.de"),
    ("Ada@straße.de", "ada@strasse.de"),
    ("J\u00d6rg@example.com", "j\u00f6rg@example.com"),
    # The old key of each of these two is the new key of the other.
    ("eve@xn--strae-oqa.org", "eve@strasse.org"),
    ("eve@strasse.org", "eve@xn--strae-oqa.org"),
)
NOTICE = "account person-2 has the address of the older account person-1"
DELETED = ("ada@straße.de", "gone")
INSERT = text(
    "INSERT INTO users (public_id, email, email_key, password_hash, is_deleted)"
    " VALUES (:id, :email, :key, :hash, :is_deleted)"
)


@pytest.fixture
def config(empty_url: str) -> Config:
    return alembic_config(PROJECT_ROOT, empty_url)


def test_accounts_whose_address_means_two_people_keep_working(
    empty_url: str, config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    command.upgrade(config, "0002")
    asyncio.run(_on(empty_url, _insert))

    with caplog.at_level("WARNING", logger="alembic"):
        command.upgrade(config, "0004")

    keys = asyncio.run(_on(empty_url, _keys))
    younger = "Ada@straße.de"
    assert keys.pop("person-2") == f":{younger}"
    assert keys.pop("gone") == email_key(DELETED[0])
    assert keys == {
        f"person-{number}": email_key(email)
        for number, (email, _) in enumerate(ACCOUNTS)
        if email != younger
    }
    [notice] = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert notice.startswith(NOTICE)
    asyncio.run(_assert_that_everybody_logs_in(empty_url))


def test_init_db_prints_which_accounts_share_an_address(empty_url: str, config: Config) -> None:
    command.upgrade(config, "0002")
    asyncio.run(_on(empty_url, _insert))
    environment = {**os.environ, "DATABASE_URL": empty_url}

    ended = finish(start([sys.executable, "cli.py", "init-db"], environment))

    assert ended.status == 0
    assert ended.output.startswith(NOTICE)


def test_revision_0004_runs_on_no_accounts_twice(config: Config) -> None:
    command.upgrade(config, "head")
    command.downgrade(config, "0002")
    command.upgrade(config, "head")


async def _on(url: str, work: Any) -> Any:
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.begin() as connection:
        return await connection.run_sync(work)


def _insert(connection: Connection) -> None:
    rows = [(f"person-{n}", *account, False) for n, account in enumerate(ACCOUNTS)]
    for name, email, key, is_deleted in [*rows, ("gone", *DELETED, True)]:
        values = {"id": name, "email": email, "key": key, "is_deleted": is_deleted}
        connection.execute(INSERT, {**values, "hash": HASHER.hash(f"the password of {name}")})


def _keys(connection: Connection) -> dict[str, str]:
    return {
        row[0]: row[1] for row in connection.execute(text("SELECT public_id, email_key FROM users"))
    }


async def _assert_that_everybody_logs_in(url: str) -> None:
    async with running(create_app(Settings.from_env_file(None, DATABASE_URL=url))) as client:
        for number, (email, _) in enumerate(ACCOUNTS):
            body = {"email": email, "password": f"the password of person-{number}"}
            response = await client.post("/api/v1/auth/login", json=body)
            assert response.status_code == 200, email
