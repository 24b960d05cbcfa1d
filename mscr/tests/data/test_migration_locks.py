"""Migrations of a database in use: which locks they take, and how long they wait."""

import asyncio
import os
import shutil
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from examples.catalogue.core.config import Settings, get_settings
from mscr.checks import migration_locks
from mscr.checks.migration_locks import NO_SERVER, find_locks, main
from mscr.db.migrations import upgrade
from mscr.testing.databases import on_postgresql
from mscr.testing.waiting import connection_to
from mscr.tests.data.conftest import alembic_config
from mscr.tests.data.test_migrations import on_database, schema_of
from mscr.tests.support.paths import CATALOGUE

HEADER = """
import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{parent}"
branch_labels = depends_on = None
{extra}

def upgrade():
    """
# The rule that each statement breaks. Quick statements that look similar break none.
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
    'op.drop_constraint(op.f("ck_items_status"), "items", type_="check")': "",
    'op.drop_constraint(op.f("fk_items_owner_id_users"), "items")': "ban-drop-constraint",
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
    """Write one more migration, after the newest."""
    own = CATALOGUE / "migrations" / "versions"
    config.set_main_option("version_locations", f"{own}{os.pathsep}{folder}")
    parent = ScriptDirectory.from_config(config).get_current_head()
    revision = f"new_{len(list(folder.iterdir()))}"
    header = HEADER.format(revision=revision, parent=parent, extra=extra)
    (folder / f"{revision}.py").write_text(header + body)


def rules_found(folder: Path, body: str, extra: str = "") -> set[str]:
    config = alembic_config(NO_SERVER)
    add_migration(config, folder, body, extra)
    return {finding.rule for finding in find_locks(config)}


def test_the_migrations_of_the_project_block_no_writer_for_long() -> None:
    """RL17."""
    assert find_locks(alembic_config(NO_SERVER)) == []


def test_the_command_passes_migrations_that_block_no_writer_for_long(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(CATALOGUE)

    assert capsys.readouterr().out == "no migration locks a table for long\n"


def test_the_command_names_the_migration_and_its_rule(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(CATALOGUE / "migrations", tmp_path / "migrations")
    shutil.copy(CATALOGUE / "alembic.ini", tmp_path)
    config = Config(tmp_path / "alembic.ini")
    folder = tmp_path / "migrations" / "versions"
    parent = ScriptDirectory.from_config(config).get_current_head()
    header = HEADER.format(revision="drops", parent=parent, extra="")
    (folder / "drops.py").write_text(header + 'op.drop_column("items", "title")')

    with pytest.raises(SystemExit, match="migrations that lock"):
        main(tmp_path)

    assert capsys.readouterr().err.startswith("drops.py: ban-drop-column: ")


def test_a_failed_linter_does_not_pass_as_a_clean_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migration_locks, "SQUAWK", shutil.which("false"))

    with pytest.raises(RuntimeError, match="squawk failed"):
        find_locks(alembic_config(NO_SERVER))


@pytest.mark.parametrize(("body", "rule"), RULES.items())
def test_a_migration_that_locks_a_table_for_long_is_found(
    folder: Path, body: str, rule: str
) -> None:
    """RL17."""
    found = rules_found(folder, body)

    assert (rule in found) if rule else (found == set())


def test_an_exempted_migration_passes_and_no_other(folder: Path) -> None:
    drop = 'op.drop_column("items", "description")'
    why = 'lock_exemptions = {"ban-drop-column": "nobody reads it any more"}'

    assert rules_found(folder, drop, why) == set()
    assert rules_found(folder, 'op.drop_column("items", "title")') == {"ban-drop-column"}


def test_an_index_is_created_concurrently_and_the_migration_goes_on(
    config: Config, folder: Path, empty_url: str
) -> None:
    """RL17: SQLite has no concurrent creation and creates the index as usual."""
    add_migration(config, folder, WITH_INDEX)

    command.upgrade(config, "head")

    items = schema_of(empty_url)["items"]
    assert "ix_items_title" in {index["name"] for index in items["indexes"]}
    assert "colour" in {column["name"] for column in items["columns"]}


@on_postgresql
def test_a_migration_gives_up_at_a_held_lock_and_unblocks_the_queue_behind_it(
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

    monkeypatch.setattr("examples.catalogue.core.config.get_settings", short_lock_timeout)
    asyncio.run(meet_reader())

    asyncio.run(on_database(empty_url, insert_nothing))


def short_lock_timeout() -> Settings:
    return get_settings().model_copy(update={"DATABASE_LOCK_TIMEOUT_SECONDS": 0.1})


def insert_nothing(connection: Connection) -> None:
    connection.execute(text("DELETE FROM items"))


def test_an_upgrade_prints_the_warnings_of_its_migrations(
    config: Config, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    warning = 'logging.getLogger("alembic.runtime.migration").warning("two accounts share it")'
    add_migration(config, folder, warning, extra="import logging")

    applied = upgrade(config)

    assert applied[-1].startswith("new_")
    assert capsys.readouterr().err == "two accounts share it\n"
