"""A failed migration prints one line: its revision, the cause and the remedy."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import text

from examples.catalogue.core.config import get_settings
from mscr.connections.backing_services import DATABASE
from mscr.db.migration_faults import in_one_line
from mscr.db.migration_lock import MigrationLockError
from mscr.db.migrations import alembic_config
from mscr.testing.databases import on_postgresql
from mscr.testing.waiting import connection_to
from mscr.tests.support.paths import CATALOGUE

MIGRATION = '''
"""A migration of a test."""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{below}"
branch_labels = None
depends_on = None


def upgrade():
    {body}
'''


@pytest.fixture
def config(database_url: str) -> Config:
    return alembic_config(CATALOGUE, database_url)


@pytest.fixture
def folder(tmp_path: Path, config: Config) -> Path:
    """Return a folder where Alembic looks for migrations besides the project's own."""
    folder = tmp_path / "more"
    folder.mkdir()
    own = CATALOGUE / "migrations" / "versions"
    config.set_main_option("version_locations", f"{own}{os.pathsep}{folder}")
    return folder


def newest() -> str:
    return str(ScriptDirectory.from_config(alembic_config(CATALOGUE)).get_current_head())


def write(folder: Path, body: str, *, revision: str = "bad", below: str | None = None) -> None:
    source = MIGRATION.format(revision=revision, below=below or newest(), body=body)
    (folder / f"{revision}.py").write_text(source)


def upgrade(config: Config) -> None:
    command.upgrade(config, "head")


def line_of(config: Config, run: Callable[[Config], object] = upgrade) -> str:
    with (
        pytest.raises(CommandError) as caught,
        in_one_line(DATABASE, where="the database"),
    ):
        run(config)
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def test_rows_that_violate_a_new_constraint(config: Config, folder: Path) -> None:
    write(
        folder,
        "op.execute('CREATE TABLE twins (n integer)');"
        " op.execute('INSERT INTO twins VALUES (1), (1)');"
        " op.execute('CREATE UNIQUE INDEX u ON twins (n)')",
    )

    line = await asyncio.to_thread(line_of, config)

    assert line.startswith("revision bad failed: ")
    assert "u" in line
    assert "correct the rows" in line


async def test_a_table_that_already_exists(config: Config, folder: Path) -> None:
    write(folder, "op.create_table('users', sa.Column('id', sa.Integer))")

    line = await asyncio.to_thread(line_of, config)

    assert line.startswith("revision bad failed: ")
    assert "already exists" in line
    assert "alembic stamp" in line


async def test_a_table_that_is_missing(config: Config, folder: Path) -> None:
    write(folder, "op.execute('DELETE FROM no_such_table')")

    line = await asyncio.to_thread(line_of, config)

    assert "no_such_table" in line
    assert "correct the migration" in line
    assert "init-db" not in line


async def test_a_statement_that_is_wrong(config: Config, folder: Path) -> None:
    write(folder, "op.execute('NO SUCH STATEMENT')")

    line = await asyncio.to_thread(line_of, config)

    assert line.startswith("revision bad failed: ")
    assert line.endswith("correct the migration")


async def test_a_bug_in_python_keeps_its_traceback(config: Config, folder: Path) -> None:
    write(folder, "{}['nothing']")

    with pytest.raises(KeyError), in_one_line(DATABASE, where="the database"):
        await asyncio.to_thread(command.upgrade, config, "head")


@on_postgresql
async def test_a_locked_table(
    config: Config, folder: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(get_settings(), "DATABASE_LOCK_TIMEOUT_SECONDS", 0.2)
    write(folder, "op.execute('ALTER TABLE users ADD COLUMN extra integer')")
    async with connection_to(database_url) as connection:
        await connection.exec_driver_sql("BEGIN")
        await connection.exec_driver_sql("LOCK TABLE users IN ACCESS SHARE MODE")
        line = await asyncio.to_thread(line_of, config)
        await connection.exec_driver_sql("ROLLBACK")

    assert line.startswith("revision bad failed: another transaction holds a lock")
    assert "pg_stat_activity" in line


@on_postgresql
async def test_a_deferred_constraint(config: Config, folder: Path) -> None:
    write(
        folder,
        "op.execute('CREATE TABLE late (n integer UNIQUE DEFERRABLE INITIALLY DEFERRED)');"
        " op.execute('INSERT INTO late VALUES (1), (1)')",
    )

    line = await asyncio.to_thread(line_of, config)

    assert "late_n_key" in line
    assert "correct the rows" in line


async def test_two_heads(config: Config, folder: Path) -> None:
    write(folder, "pass", revision="left")
    write(folder, "pass", revision="right")

    assert "alembic merge heads" in await asyncio.to_thread(line_of, config)


async def test_a_comparison_with_a_database_that_is_behind(config: Config, folder: Path) -> None:
    write(folder, "pass")

    assert "alembic upgrade head" in await asyncio.to_thread(line_of, config, command.check)


async def test_a_revision_of_newer_code(config: Config, database_url: str) -> None:
    async with connection_to(database_url) as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = 'feedbeef'"))

    line = await asyncio.to_thread(line_of, config)

    assert "no revision feedbeef" in line
    assert "deploy the code that has it" in line


async def test_an_unreachable_database() -> None:
    line = await asyncio.to_thread(
        line_of, alembic_config(CATALOGUE, "postgresql+asyncpg://a:b@127.0.0.1:1/app")
    )

    assert line.startswith("cannot use the database: the connection was refused")


def test_messages_of_alembic_and_of_the_lock_are_kept() -> None:
    for error in (CommandError("Path doesn't exist: versions"), MigrationLockError("late")):
        with pytest.raises(CommandError) as caught, in_one_line(DATABASE, where="it"):
            raise error
        assert str(caught.value) == str(error)
