"""`init-db` and `check-migrations`."""

import secrets
import shutil
from dataclasses import replace as replaced
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from dirty_equals import IsStr
from sqlalchemy import text

from examples.catalogue.project import project
from mscr.db.migrations import alembic_config
from mscr.testing.postgres import PostgresServer
from mscr.testing.waiting import connection_to
from mscr.tests.support import command_line
from mscr.tests.support.command_line import Cli, assert_refused, query, run_here
from mscr.tests.support.paths import CATALOGUE


@pytest.fixture
def cli(tmp_path: Path, sqlite_template: Path) -> Cli:
    return Cli.migrated(tmp_path, sqlite_template)


def newest_revision() -> str | None:
    return ScriptDirectory.from_config(alembic_config(CATALOGUE)).get_current_head()


# --- init-db


def test_init_db_applies_and_lists_the_migrations(tmp_path: Path) -> None:
    cli = Cli(tmp_path)

    finished = cli.run("init-db")

    assert finished.returncode == 0
    assert "applied 0001, First schema" in finished.stdout
    assert query(cli, "SELECT version_num FROM alembic_version") == [(newest_revision(),)]


def test_init_db_reports_that_there_is_nothing_to_do(cli: Cli) -> None:
    finished = cli.run("init-db")

    assert finished.returncode == 0
    assert "nothing to do" in finished.stdout
    assert "applied" not in finished.stdout


async def test_init_db_works_on_postgresql(tmp_path: Path, postgres: PostgresServer) -> None:
    name = f"test_{secrets.token_hex(8)}"
    await postgres.create_database(name)
    cli = Cli(tmp_path, postgres.url(name))

    first, second = cli.run("init-db"), cli.run("init-db")

    assert "applied 0001" in first.stdout
    assert "nothing to do" in second.stdout
    await postgres.drop_database(name)


def test_init_db_refuses_a_database_of_newer_code(cli: Cli) -> None:
    query(cli, "UPDATE alembic_version SET version_num = '9999'")

    assert_refused(cli.run("init-db"), "9999")


async def test_init_db_names_tables_that_an_edited_migration_did_not_create(
    tmp_path: Path, database_url: str
) -> None:
    """Early releases of 0001 lacked a table: the database is at head, and requests fail."""
    async with connection_to(database_url) as connection:
        await connection.execute(text("DROP TABLE idempotency_keys"))
    cli = Cli(tmp_path, database_url)

    assert_refused(cli.run("init-db"), "table idempotency_keys is missing", "write a migration")


# --- check-migrations


@pytest.fixture
def migration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the first migration in a copy of the project whose migrations are all released."""
    shutil.copytree(CATALOGUE / "migrations", tmp_path / "migrations")
    shutil.copy(CATALOGUE / "alembic.ini", tmp_path)
    monkeypatch.setattr(command_line, "project", replaced(project, root=tmp_path))
    assert run_here("release-migrations").returncode == 0
    (migration,) = (tmp_path / "migrations" / "versions").glob("*first_schema.py")
    return migration


def test_migrations_that_match_pass_without_any_configuration(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    cli.settings |= {"SECRET_KEY": "", "DATABASE_URL": "nonsense"}

    finished = cli.run("check-migrations")

    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.startswith("the migrations run up, down and up again")


def test_columns_of_models_without_a_migration_are_named(migration: Path) -> None:
    column = 'sa.Column("full_name", sa.String(length=200), nullable=True),'
    replace(migration, column, "")
    replace(migration, "sa.String(length=200), nullable=False", "sa.String(length=200)")

    finished = run_here("check-migrations")

    assert finished.returncode == 1
    assert finished.stderr.splitlines() == [
        "not in the migrations: modify_nullable items title True False",
        "not in the migrations: add_column users full_name",
        IsStr(regex="Error: models and migrations differ; .*alembic revision --autogenerate.*"),
    ]


def test_values_of_an_enum_without_a_migration_are_named(migration: Path) -> None:
    """A database would refuse them."""
    replace(migration, '"user", "admin", name="role"', '"user", name="role"')

    finished = run_here("check-migrations")

    assert finished.returncode == 1
    assert finished.stderr.splitlines()[:2] == [
        "not in the migrations: remove_constraint ck_users_role: role IN ('user')",
        "not in the migrations: add_constraint ck_users_role: role IN ('user', 'admin')",
    ]


@pytest.mark.parametrize(
    ("downgrade", "step"), [("pass", "second upgrade"), ('op.drop_table("missing")', "downgrade")]
)
def test_a_downgrade_that_does_not_undo_its_upgrade_is_one_line(
    migration: Path, downgrade: str, step: str
) -> None:
    replace(migration, 'op.drop_table("items")', downgrade)

    assert_refused(run_here("check-migrations"), f"migrations, {step}: ")


def test_two_heads_are_one_line(migration: Path) -> None:
    rival = migration.with_name("rival.py")
    shutil.copy(migration, rival)
    replace(rival, 'revision: str = "0001"', 'revision: str = "rival"')

    assert_refused(run_here("check-migrations"), "migrations, upgrade: ", "alembic merge heads")


# --- release-migrations

REMEDY = "write a new migration"


def test_a_released_migration_that_was_edited_is_one_line_with_the_remedy(migration: Path) -> None:
    migration.write_text(migration.read_text() + "# harmless\n")

    assert_refused(run_here("check-migrations"), f"{migration.name} was edited", REMEDY)
    assert_refused(run_here("release-migrations"), f"{migration.name} was edited", REMEDY)


def test_a_released_migration_that_is_missing_is_named(migration: Path) -> None:
    [last] = migration.parent.glob("*add_notes_and_orders.py")
    last.unlink()

    finished = run_here("release-migrations", "--check")
    assert_refused(finished, f"{last.name} is missing", REMEDY)


def test_a_released_migration_that_was_renamed_is_named(migration: Path) -> None:
    migration.rename(migration.with_name("first.py"))

    renamed = f"{migration.name} was renamed to first.py"
    assert_refused(run_here("release-migrations", "--check"), renamed, REMEDY)


def test_windows_line_ends_are_no_change(migration: Path) -> None:
    migration.write_bytes(migration.read_bytes().replace(b"\n", b"\r\n"))

    unchanged = run_here("release-migrations", "--check")
    assert unchanged.stdout.endswith(" released migrations are unchanged\n")


def test_a_migration_may_change_until_it_is_recorded_as_released(migration: Path) -> None:
    new = migration.with_name("new.py")
    head = newest_revision()
    text = f'revision = "new"\ndown_revision = "{head}"\n\n\ndef upgrade():\n    pass\n'
    new.write_text(text + "\n\ndef downgrade():\n    pass\n")
    new.write_text(new.read_text() + "# edited\n")
    assert run_here("release-migrations", "--check").returncode == 0
    recorded = run_here("release-migrations")
    new.write_text(new.read_text() + "# once more\n")

    assert "recorded new.py" in recorded.stdout.splitlines()
    assert_refused(run_here("release-migrations", "--check"), "new.py was edited")


def test_a_new_history_is_recorded_again(migration: Path) -> None:
    """Only possible while nobody has a database of the old history."""
    migration.write_text(migration.read_text() + "# rewritten\n")
    (migration.parent / "released.txt").unlink()
    first, second = run_here("release-migrations"), run_here("release-migrations")

    assert f"recorded {migration.name}" in first.stdout
    assert "recorded " not in second.stdout
    assert run_here("release-migrations", "--check").returncode == 0


def test_a_damaged_record_is_one_line(migration: Path) -> None:
    (migration.parent / "released.txt").write_text("<<<<<<< ours\n")

    assert_refused(run_here("check-migrations"), "released.txt", "version control")


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
