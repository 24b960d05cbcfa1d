"""`backup-database`, `restore-database` and `end-all-sessions`."""

import shutil
import sqlite3
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from examples.catalogue.db.session import Database
from examples.catalogue.tests.api import Api
from mscr.db.sqlite_backup import BackupError, back_up, restore
from mscr.testing.databases import on_sqlite
from mscr.testing.tokens import rotated, what_opens
from mscr.tests.cli.test_database import PRODUCTION
from mscr.tests.support.command_line import Cli, assert_refused, query

ADD_TAG = "INSERT INTO tags (public_id, name, name_key, owner_id) VALUES (?, ?, ?, 1)"
ADD_OWNER = (
    "INSERT INTO users (public_id, email, email_key, password_hash) VALUES ('u', 'a', 'a', '!')"
)
COUNT = "SELECT count(*) FROM users"


@pytest.fixture
def cli(tmp_path: Path, sqlite_template: Path) -> Cli:
    cli = Cli.migrated(tmp_path, sqlite_template)
    query(cli, ADD_OWNER)
    return cli


@pytest.fixture
def backup(cli: Cli, tmp_path: Path) -> Path:
    """Back up a database with one user."""
    target = tmp_path / "backup.db"
    back_up(cli.database, target)
    return target


@contextmanager
def in_use(database: Path) -> Iterator[sqlite3.Connection]:
    """Keep a connection open without a transaction, as another process's connection pool does."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(COUNT).fetchall()
        yield connection


def rows_in(file: Path, statement: str = COUNT) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(statement).fetchall()


def files_of(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


# --- backup-database


def test_a_backup_under_load_has_every_row_committed_before(cli: Cli, tmp_path: Path) -> None:
    """A copy of the database file alone would lack the content of the -wal file."""
    acknowledged: list[int] = []
    many, stopped = threading.Event(), threading.Event()

    def write() -> None:
        with in_use(cli.database) as connection:
            # Keep everything in the -wal file.
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            while not stopped.is_set():
                number = len(acknowledged)
                connection.execute(ADD_TAG, (str(number),) * 3)
                acknowledged.append(number)
                if number == 100:
                    many.set()

    writer = threading.Thread(target=write)
    writer.start()
    many.wait(timeout=30)
    before = len(acknowledged)
    finished = cli.run("backup-database", str(tmp_path / "backup.db"))
    stopped.set()
    writer.join()

    names = [int(str(name)) for (name,) in rows_in(tmp_path / "backup.db", "SELECT name FROM tags")]
    assert finished.returncode == 0, finished.stderr
    assert before >= 100
    assert sorted(names) == list(range(len(names)))
    assert len(names) >= before


def test_a_backup_is_one_file_that_only_its_owner_can_read(backup: Path, tmp_path: Path) -> None:
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert {name for name in files_of(tmp_path) if "backup" in name} == {"backup.db"}
    assert rows_in(backup, "PRAGMA journal_mode") == [("delete",)]


def test_a_backup_overwrites_nothing(cli: Cli, backup: Path) -> None:
    before = backup.read_bytes()

    assert_refused(cli.run("backup-database", str(backup)), "exists already", "name a new file")
    assert backup.read_bytes() == before


def test_a_running_or_killed_backup_is_reported(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "backup.db.partial").touch()

    with pytest.raises(BackupError, match=r"backup.db.partial exists already; another backup"):
        back_up(cli.database, tmp_path / "backup.db")

    assert (tmp_path / "backup.db.partial").exists()


def test_a_backup_into_a_missing_folder_is_one_line(cli: Cli, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match=r"cannot write .* No such file or directory"):
        back_up(cli.database, tmp_path / "missing" / "backup.db")


def test_a_backup_of_a_missing_database_is_one_line(tmp_path: Path) -> None:
    finished = Cli(tmp_path).run("backup-database", str(tmp_path / "backup.db"))

    assert_refused(finished, "does not exist", "init-db")
    assert files_of(tmp_path) == set()


def test_a_backup_of_a_damaged_database_leaves_nothing(cli: Cli, tmp_path: Path) -> None:
    content = bytearray(cli.database.read_bytes())
    content[4096 * 3 : 4096 * 4] = b"\xff" * 4096
    cli.database.write_bytes(content)

    with pytest.raises(BackupError, match=r"app.db is damaged: .*[^\n]$"):
        back_up(cli.database, tmp_path / "backup.db")

    assert not any("backup" in name for name in files_of(tmp_path))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files")
def test_the_error_of_a_failed_write_names_the_file_that_was_written(
    cli: Cli, backup: Path, tmp_path: Path
) -> None:
    """As on a full disk: the database that is only read is healthy and must not be blamed."""
    query(cli, "UPDATE users SET full_name = hex(zeroblob(50000))")
    with files_of_at_most(40_960):
        with pytest.raises(BackupError, match=r"cannot write .*second.db: .*space there"):
            back_up(cli.database, tmp_path / "second.db")
        with pytest.raises(BackupError, match=r"cannot write .*app.db: .*space there"):
            restore(backup, cli.database)
    query(cli, "PRAGMA journal_mode = WAL")
    with files_of_at_most(0), pytest.raises(BackupError, match="cannot write"):
        restore(backup, cli.database)

    assert rows_in(cli.database) == [(1,)]
    assert "second.db" not in files_of(tmp_path)


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Limit the size of files that this process may write."""
    import resource  # noqa: PLC0415  # absent on Windows

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("command", ["backup-database", "restore-database"])
def test_postgresql_is_referred_to_its_own_programs(tmp_path: Path, command: str) -> None:
    cli = Cli(tmp_path, "postgresql+asyncpg://app@127.0.0.1:1/app")

    assert_refused(cli.run(command, "x.db"), "PostgreSQL", "pg_dump", "docs/backups.md")


# --- restore-database


def test_a_restore_brings_back_the_rows_of_the_backup(cli: Cli, backup: Path) -> None:
    query(cli, "DELETE FROM users")

    finished = cli.run("restore-database", str(backup))

    assert finished.returncode == 0, finished.stderr
    assert "end-all-sessions" in finished.stderr
    assert query(cli, COUNT) == [(1,)]
    assert cli.run("doctor", "--json").returncode == 0


def test_nothing_of_the_old_database_outlives_a_restore(
    cli: Cli, backup: Path, tmp_path: Path
) -> None:
    """In particular no -wal file, which SQLite would apply to the restored database."""
    killed = tmp_path / "killed"
    killed.mkdir()
    with in_use(cli.database) as connection:
        connection.execute("UPDATE users SET full_name = 'Newer'")
        for name in ("app.db", "app.db-wal", "app.db-shm"):
            shutil.copy(tmp_path / name, killed)

    restore(backup, killed / "app.db")

    assert files_of(killed) == {"app.db"}
    assert rows_in(killed / "app.db", "SELECT full_name FROM users") == [(None,)]


def test_a_restore_recreates_a_missing_database(cli: Cli, backup: Path, tmp_path: Path) -> None:
    cli.database.unlink()
    (tmp_path / "app.db-wal").write_bytes(b"of the one that is gone")
    (tmp_path / "app.db-journal").write_bytes(b"likewise")

    restore(backup, cli.database)

    assert query(cli, COUNT) == [(1,)]
    assert files_of(tmp_path) >= {"app.db", "backup.db"}
    assert not (tmp_path / "app.db-journal").exists()


@on_sqlite
async def test_a_restore_is_refused_while_the_application_runs(
    cli: Cli, backup: Path, api: Api, database_url: str
) -> None:
    """Even though all its connections are idle."""
    await api.register()
    cli.settings["DATABASE_URL"] = database_url

    assert_refused(cli.run("restore-database", str(backup)), "in use", "stop the application")
    assert (await api.register()).access_token


def test_a_backup_of_an_earlier_release_is_restored_and_reported(cli: Cli, backup: Path) -> None:
    with closing(sqlite3.connect(backup)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
        connection.commit()

    finished = cli.run("restore-database", str(backup))

    assert "at 0001" in finished.stdout
    assert "init-db" in finished.stderr


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE alembic_version SET version_num = '9999'", ("9999", "the code that has it")),
        ("DROP TABLE alembic_version", ("not a database of this application",)),
    ],
)
def test_a_backup_of_other_code_is_refused(
    cli: Cli, backup: Path, statement: str, words: tuple[str, ...]
) -> None:
    with closing(sqlite3.connect(backup)) as connection:
        connection.execute(statement)
        connection.commit()
    query(cli, "UPDATE users SET full_name = 'Stays'")

    assert_refused(cli.run("restore-database", str(backup)), *words)
    assert query(cli, "SELECT full_name FROM users") == [("Stays",)]


def test_a_file_that_is_no_backup_is_refused(cli: Cli, tmp_path: Path) -> None:
    letter = tmp_path / "letter.db"
    letter.write_bytes(b"This is a letter to my aunt. " * 100)

    with pytest.raises(BackupError, match=r"cannot use .*letter.db"):
        restore(letter, cli.database)
    assert query(cli, COUNT) == [(1,)]


def test_a_file_that_is_missing_is_refused(cli: Cli) -> None:
    with pytest.raises(BackupError, match=r"there is no file .*missing.db"):
        restore(cli.database.with_name("missing.db"), cli.database)


def test_the_database_is_no_backup_of_itself(cli: Cli) -> None:
    with pytest.raises(BackupError, match="the database itself"):
        restore(cli.database, cli.database)


def test_a_damaged_database_is_not_overwritten(cli: Cli, backup: Path) -> None:
    letter = b"This is a letter to my aunt. " * 100
    cli.database.write_bytes(letter)

    with pytest.raises(BackupError, match=r"app.db is damaged.*move it away, with its -wal and"):
        restore(backup, cli.database)

    assert cli.database.read_bytes() == letter


def test_a_restore_into_a_missing_folder_leaves_nothing(backup: Path, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="check its folder"):
        restore(backup, tmp_path / "missing" / "app.db")


def test_a_failed_restore_leaves_no_database(
    backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a full disk."""
    with closing(sqlite3.connect(":memory:")) as closed:
        pass
    monkeypatch.setattr("mscr.db.sqlite_backup._open_backup", lambda _: closed)

    with pytest.raises(BackupError, match=r"cannot use .*closed"):
        restore(backup, tmp_path / "new.db")

    assert not (tmp_path / "new.db").exists()


def test_a_locked_database_is_not_backed_up(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mscr.db.sqlite_backup.LOCK_WAIT_SECONDS", 0)
    with closing(sqlite3.connect(cli.database, isolation_level=None)) as connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        with pytest.raises(BackupError, match="locked"):
            back_up(cli.database, tmp_path / "backup.db")

    assert not (tmp_path / "backup.db.partial").exists()


def test_restoring_in_production_requires_consent(cli: Cli, backup: Path) -> None:
    assert_refused(cli.run("restore-database", str(backup), **PRODUCTION), "--yes")
    assert cli.run("restore-database", str(backup), "--yes", **PRODUCTION).returncode == 0


# --- sessions


@on_sqlite
async def test_a_client_whose_tokens_a_restore_lost_can_log_in_again(
    api: Api, database: Database, tmp_path: Path
) -> None:
    """RT12: its refresh token is refused, its session stays active, a later session is unknown."""
    database_file, backup = tmp_path / "test.db", tmp_path / "sessions.db"
    account = await api.register()
    back_up(database_file, backup)
    child = await rotated(api, account.refresh_token)
    later = await api.login(account)
    await database.close()
    restore(backup, database_file)

    assert await what_opens(api, later.tokens) == []
    assert (await api.refresh(child["refresh_token"])).status_code == 401
    assert (await api.me(child["access_token"])).status_code == 200
    assert (await api.login(account)).access_token


async def test_the_command_revokes_every_session(
    api: Api, database_url: str, tmp_path: Path
) -> None:
    """RT12."""
    account = await api.register()
    others = [await api.register(), await api.login(account)]
    cli = Cli(tmp_path, database_url)

    finished = cli.run("end-all-sessions", "--batch=2")

    assert finished.stdout.startswith("ended 3 sessions")
    assert await what_opens(api, account.tokens, *(other.tokens for other in others)) == []
    admin = await api.register_admin()
    found = await api.client.get("/api/v1/audit-events?action=logout_all", headers=admin.headers)
    assert [event["operation"] for event in found.json()["data"]] == ["end-all-sessions"]


def test_ending_all_sessions_in_production_requires_consent(cli: Cli) -> None:
    assert_refused(cli.run("end-all-sessions", **PRODUCTION), "--yes")
