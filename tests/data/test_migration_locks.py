"""What migrations do to a database in use: which locks they take, and how long they wait."""

import asyncio
import os
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from app.core.config import PROJECT_ROOT, Settings, get_settings
from migrations.check_locks import NO_SERVER, find_locks
from tests.data.conftest import alembic_config
from tests.data.faults import connection_to
from tests.data.test_migrations import on_database, schema_of
from tests.support.databases import on_postgresql

HEADER = """
import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{parent}"
branch_labels = depends_on = None
{extra}

def upgrade():
    """
# What the check says of each: nothing of what is quick, though it looks alike.
RULES = {
    'op.add_column("items", sa.Column("a", sa.Text(), nullable=False))': "adding-required-field",
    'op.add_column("items", sa.Column("a", sa.Text(), nullable=False, server_default=""))': "",
    'op.add_column("items", sa.Column("a", sa.Text()))': "",
    'op.create_index("ix", "items", ["title"])': "require-concurrent-index-creation",
    'op.create_index("ix", "items", ["title"], postgresql_concurrently=True)': (
        "ban-concurrent-index-creation-in-transaction"
    ),
    'with op.get_context().autocommit_block(): op.create_index("ix", "items", ["title"],'
    " postgresql_concurrently=True)": "",
    'op.alter_column("items", "title", type_=sa.Text())': "changing-column-type",
    'op.alter_column("items", "description", nullable=False)': "adding-not-nullable-field",
    'op.create_check_constraint("c", "items", "title > \'\'")': "constraint-missing-not-valid",
    'op.create_check_constraint("c", "items", "title > \'\'", postgresql_not_valid=True)': "",
    'op.create_foreign_key("f", "items", "users", ["id"], ["id"])': "adding-foreign-key-constraint",
    'op.alter_column("items", "title", new_column_name="name")': "renaming-column",
    'op.drop_column("items", "title")': "ban-drop-column",
    'op.create_table("t", sa.Column("a", sa.Text(), index=True, nullable=False))': "",
}
WITH_INDEX = """with op.get_context().autocommit_block():
        op.create_index("ix_items_title", "items", ["title"], postgresql_concurrently=True)
    op.add_column("items", sa.Column("colour", sa.Text()))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "versions"
    path.mkdir()
    return path


def add_migration(config: Config, folder: Path, body: str, extra: str = "") -> None:
    """One more, after the newest."""
    own = PROJECT_ROOT / "migrations" / "versions"
    config.set_main_option("version_locations", f"{own}{os.pathsep}{folder}")
    parent = ScriptDirectory.from_config(config).get_current_head()
    revision = f"new_{len(list(folder.iterdir()))}"
    header = HEADER.format(revision=revision, parent=parent, extra=extra)
    (folder / f"{revision}.py").write_text(header + body)


def rules_found(folder: Path, body: str, extra: str = "") -> set[str]:
    config = alembic_config(NO_SERVER)
    add_migration(config, folder, body, extra)
    return {finding.rule for finding in find_locks(config)}


def test_the_migrations_of_the_project_lock_nobody_out() -> None:
    """RL17."""
    assert find_locks(alembic_config(NO_SERVER)) == []


@pytest.mark.parametrize(("body", "rule"), RULES.items())
def test_a_migration_that_locks_a_table_for_long_is_found(
    folder: Path, body: str, rule: str
) -> None:
    """RL17."""
    found = rules_found(folder, body)

    assert (rule in found) if rule else (found == set())


def test_a_migration_that_says_why_is_let_through_and_no_other(folder: Path) -> None:
    drop = 'op.drop_column("items", "description")'
    why = 'lock_exemptions = {"ban-drop-column": "nobody reads it any more"}'

    assert rules_found(folder, drop, why) == set()
    assert rules_found(folder, 'op.drop_column("items", "title")') == {"ban-drop-column"}


def test_an_index_is_made_concurrently_and_the_migration_goes_on(
    config: Config, folder: Path, empty_url: str
) -> None:
    """RL17: on SQLite, where there is no such thing, it is simply made."""
    add_migration(config, folder, WITH_INDEX)

    command.upgrade(config, "head")

    items = schema_of(empty_url)["items"]
    assert "ix_items_title" in {index["name"] for index in items["indexes"]}
    assert "colour" in {column["name"] for column in items["columns"]}


@on_postgresql
def test_a_migration_that_meets_a_lock_gives_up_and_lets_those_behind_it_go_on(
    config: Config, folder: Path, empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RL17."""
    command.upgrade(config, "head")
    add_migration(config, folder, 'op.add_column("items", sa.Column("colour", sa.Text()))')

    async def meet_reader() -> None:
        async with connection_to(empty_url) as reader:
            await reader.exec_driver_sql("BEGIN")
            await reader.exec_driver_sql("SELECT * FROM items")
            with pytest.raises(DBAPIError, match="lock timeout"):
                await asyncio.to_thread(command.upgrade, config, "head")

    monkeypatch.setattr("app.core.config.get_settings", short_lock_timeout)
    asyncio.run(meet_reader())

    asyncio.run(on_database(empty_url, insert_nothing))


def short_lock_timeout() -> Settings:
    return get_settings().model_copy(update={"DATABASE_LOCK_TIMEOUT_SECONDS": 0.1})


def insert_nothing(connection: Connection) -> None:
    connection.execute(text("DELETE FROM items"))
