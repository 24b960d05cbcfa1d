"""Commands report the true cause of a fault and the right remedy, in one line."""

import asyncio
import os
import secrets
import shutil
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError

from examples.catalogue.core.config import Settings
from examples.catalogue.db.session import Database
from examples.catalogue.project import project
from mscr.cli.doctor import _mail_templates, _migrations, _service, _way_to_file
from mscr.cli.faults import Fault, database_faults
from mscr.connections.backing_services import STORE
from mscr.db.driver_threads import threads_ended
from mscr.db.write_access import WriteAccess
from mscr.mail.templates import KIT_MAILS
from mscr.testing.commands import finish, start
from mscr.testing.databases import on_postgresql
from mscr.testing.mail_server import mail_server
from mscr.testing.postgres import PostgresServer
from mscr.testing.valkey import ValkeyServer
from mscr.testing.waiting import connection_to
from mscr.tests.cli.test_inspection import failures
from mscr.tests.support.command_line import Cli, assert_refused
from mscr.tests.support.paths import CATALOGUE, REPOSITORY

SLOW_INSERTS = """
CREATE FUNCTION be_slow() RETURNS trigger LANGUAGE plpgsql AS
'BEGIN PERFORM pg_sleep(0.4); RETURN NEW; END'

CREATE TRIGGER slow BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION be_slow()
"""


@dataclass
class Poor:
    """A role that may not create tables, and its empty database."""

    name: str
    url: str


@pytest.fixture
async def poor(postgres: PostgresServer) -> AsyncIterator[Poor]:
    name = f"poor_{secrets.token_hex(4)}"
    await postgres.create_database(name)
    async with connection_to(postgres.url("postgres")) as connection:
        await connection.execute(text(f"CREATE ROLE {name} LOGIN"))
        yield Poor(name, postgres.url(name).replace("postgres@", f"{name}@"))
        await postgres.drop_database(name)
        await connection.execute(text(f"DROP ROLE {name}"))


async def test_a_role_without_the_privilege_to_create_gets_the_grant_to_run(
    tmp_path: Path, poor: Poor
) -> None:
    """The default of PostgreSQL 15 and newer."""
    cli = Cli(tmp_path, poor.url)

    assert f'GRANT USAGE, CREATE ON SCHEMA "public" TO "{poor.name}"' in str(
        failures(cli)["migrations"]
    )
    assert_refused(cli.run("init-db"), "permission denied for schema public", "GRANT")
    assert_refused(cli.run("list-users"), "has no schema", "users", "python cli.py init-db")


async def test_a_role_without_a_schema_gets_the_statement_that_creates_one(
    tmp_path: Path, poor: Poor, postgres: PostgresServer
) -> None:
    async with connection_to(postgres.url(poor.name)) as connection:
        await connection.execute(text("DROP SCHEMA public"))

    own, named = poor.url, f"{poor.url}&search_path=nowhere,public"
    for url, schema in ((own, poor.name), (named, "nowhere")):
        remedy = failures(Cli(tmp_path, url))["migrations"]["remedy"]
        assert f'CREATE SCHEMA "{schema}" AUTHORIZATION "{poor.name}"' in remedy


@on_postgresql
async def test_an_empty_search_path_is_no_empty_database(
    tmp_path: Path, database_url: str, postgres: PostgresServer
) -> None:
    """`pg_restore` leaves such a search_path behind in a pooler's connection."""
    name = database_url.partition("?")[0].rpartition("/")[2]
    async with connection_to(postgres.url("postgres")) as connection:
        await connection.execute(text(f"ALTER DATABASE {name} SET search_path = ''"))

    finding = failures(Cli(tmp_path, database_url))["migrations"]

    assert finding["detail"] == "search_path is empty: no table can be found"
    assert "RECONNECT" in finding["remedy"]


async def test_a_read_only_default_is_no_fault(
    tmp_path: Path, database_url: str, backend: str, request: pytest.FixtureRequest
) -> None:
    if backend == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        name = database_url.partition("?")[0].rpartition("/")[2]
        async with connection_to(server.url("postgres")) as connection:
            await connection.execute(
                text(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
            )
    cli = Cli(tmp_path, database_url)

    # The application overrides the default on each of its connections.
    assert failures(cli) == {}


async def test_tables_without_a_revision_are_reported(tmp_path: Path, database_url: str) -> None:
    async with connection_to(database_url) as connection:
        await connection.execute(text("DELETE FROM alembic_version"))
    cli = Cli(tmp_path, database_url)

    assert "alembic stamp" in failures(cli)["migrations"]["remedy"]
    assert_refused(cli.run("init-db"), "revision 0001 failed", "already exists", "alembic stamp")


@on_postgresql
async def test_a_command_has_no_statement_timeout(tmp_path: Path, database_url: str) -> None:
    """Such a deadline would blame DATABASE_URL for a slow statement."""
    async with connection_to(database_url) as connection:
        for statement in SLOW_INSERTS.split("\n\n"):
            await connection.execute(text(statement))
    finished = Cli(tmp_path, database_url).run("seed", DATABASE_STATEMENT_TIMEOUT_SECONDS="0.1")

    assert finished.returncode == 0, finished.stderr


# --- doctor: the other services


@pytest.fixture
def cli(tmp_path: Path, sqlite_template: Path) -> Cli:
    return Cli.migrated(tmp_path, sqlite_template)


@pytest.fixture
async def store(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ValkeyServer]:
    monkeypatch.delenv(ValkeyServer.variable, raising=False)
    with ValkeyServer() as server:
        yield server


async def test_a_redis_that_cannot_count_is_reported_with_the_cause(
    cli: Cli, store: ValkeyServer
) -> None:
    """PING succeeds all the time."""
    async with Redis.from_url(store.url) as redis:
        await redis.config_set("maxmemory", 1)
        full = failures(cli, REDIS_URL=store.url)["redis"]
        await redis.config_set("maxmemory", 0)
        await redis.replicaof("127.0.0.1", "1")
        replica = failures(cli, REDIS_URL=store.url)["redis"]

    assert "memory is full" in full["detail"]
    assert "maxmemory" in full["remedy"]
    assert "read-only" in replica["detail"]
    assert "primary" in replica["remedy"]


def test_an_unreachable_redis_is_reported_with_its_setting(cli: Cli) -> None:
    found = failures(cli, REDIS_URL="redis://:hunter2@127.0.0.1:1/0")["redis"]

    assert "refused" in found["detail"]
    assert "REDIS_URL" in found["remedy"]
    assert "hunter2" not in str(found)


def test_an_unreachable_replica_is_reported_with_its_setting(cli: Cli) -> None:
    url = "postgresql://me:hunter2@127.0.0.1:1/app"

    found = failures(cli, DATABASE_REPLICA_URL=url)["replica"]

    assert "refused" in found["detail"]
    assert "DATABASE_REPLICA_URL" in found["remedy"]
    assert "hunter2" not in str(found)


def test_an_unreachable_mail_server_is_reported_with_its_setting(cli: Cli) -> None:
    found = failures(cli, SMTP_URL="smtp://me:hunter2@127.0.0.1:1")["mail"]

    assert "refused" in found["detail"]
    assert "SMTP_URL" in found["remedy"]


def test_a_folder_of_mails_that_cannot_be_written_is_reported(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    found = failures(cli, MAIL_FOLDER=f"{tmp_path}/file/mails")["mail"]

    assert found["detail"] == f"no file can be written to {tmp_path}/file/mails: Not a directory"
    assert failures(cli, MAIL_FOLDER=f"{tmp_path}/new/mails") == {}


def test_a_broken_mail_is_reported_with_its_line(tmp_path: Path) -> None:
    class Broken(Settings):
        mail_templates: ClassVar[Path | None] = tmp_path

    (tmp_path / "layout.html.jinja").write_text("{{ subject }}")
    for name in KIT_MAILS:
        (tmp_path / f"{name}.jinja").write_text("Subject")
    (tmp_path / "note.jinja").write_text("Subject\n\n{{ surname }}")
    keys = {name: secrets.token_urlsafe(48) for name in ("SECRET_KEY", "JWT_SECRET_KEY")}

    [found] = _mail_templates(Broken.from_env_file(None, **keys))

    assert found.detail == f"{tmp_path}/note.jinja, line 3: 'surname' is undefined"
    assert found.remedy == "correct it, or add an example of the value to examples.toml"


async def test_services_that_work_are_ok(cli: Cli, postgres: PostgresServer) -> None:
    async with mail_server() as server:
        wrong = await asyncio.to_thread(
            failures,
            cli,
            SMTP_URL=server.url,
            DATABASE_REPLICA_URL=postgres.url("postgres"),
        )

    assert wrong == {}


def test_a_read_only_folder_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root, as whom the tests may run, may write in every folder."""
    monkeypatch.setattr(os, "access", lambda path, _: path != tmp_path)

    assert _way_to_file(tmp_path) == f"let this user write to the folder {tmp_path}"


def test_a_bug_in_a_check_is_raised() -> None:
    async def fail() -> str:
        raise KeyError("bug")

    with pytest.raises(KeyError):
        _service("redis", STORE, fail())


def test_a_standby_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A standby cannot be migrated, so init-db is no remedy."""
    monkeypatch.delenv(PostgresServer.variable, raising=False)
    with PostgresServer() as server:
        asyncio.run(server.create_database("empty"))
        server.stop()
        (server.scratch.path / "data" / "standby.signal").touch()
        server.start()
        wrong = failures(Cli(tmp_path, server.url("empty")))

    assert "read-only" in wrong["database"]["detail"]
    assert {found["remedy"] for found in wrong.values()} == {"point DATABASE_URL at the primary"}


def test_two_heads_of_the_migrations_are_reported(tmp_path: Path) -> None:
    shutil.copytree(CATALOGUE / "migrations", tmp_path / "migrations")
    shutil.copy(CATALOGUE / "alembic.ini", tmp_path)
    versions = tmp_path / "migrations" / "versions"
    (first,) = versions.glob("*first_schema.py")
    rival = first.read_text().replace('revision: str = "0001"', 'revision: str = "rival"')
    (versions / "rival.py").write_text(rival)

    found = _migrations(replace(project, root=tmp_path), set(), [], WriteAccess(has_tables=False))

    assert "2 heads" in found.detail
    assert "alembic merge heads" in found.remedy


# --- alembic


def new_revision(folder: Path, cli: Cli, *python_path: Path) -> str:
    """Let Alembic write a revision in a copy of the project, and return its content."""
    shutil.copytree(CATALOGUE / "migrations", folder / "migrations")
    shutil.copy(CATALOGUE / "alembic.ini", folder)
    with (folder / "migrations" / "script.py.mako").open("a") as template:
        template.write("UNFORMATTED = 'yes'\n")
    environment = {
        **cli.settings,
        "PYTHONPATH": os.pathsep.join(str(path) for path in (*python_path, REPOSITORY)),
    }
    command = [sys.executable, "-m", "alembic", "-c", str(folder / "alembic.ini")]

    ended = finish(start([*command, "revision", "-m", "Something"], environment))

    assert ended.status == 0, ended.output
    assert "FAILED" not in ended.output
    [revision] = (folder / "migrations" / "versions").glob("*something.py")
    return revision.read_text()


def test_a_revision_is_formatted(tmp_path: Path, cli: Cli) -> None:
    assert 'UNFORMATTED = "yes"' in new_revision(tmp_path, cli)


def test_a_revision_is_written_without_the_formatter(tmp_path: Path, cli: Cli) -> None:
    """A production installation has no ruff."""
    hiding = tmp_path / "hiding"
    hiding.mkdir()
    (hiding / "sitecustomize.py").write_text("import sys\nsys.modules['ruff'] = None\n")

    assert "UNFORMATTED = 'yes'" in new_revision(tmp_path, cli, hiding)


# --- errors that are no fault of the database


def test_bugs_and_closed_pipes_are_no_database_faults() -> None:
    settings = project.get_settings()
    with pytest.raises(BrokenPipeError), database_faults(settings):
        raise BrokenPipeError
    with pytest.raises(IntegrityError), database_faults(settings):
        raise IntegrityError("INSERT", None, ValueError("twice"))
    with (
        pytest.raises(Fault, match="something new; check DATABASE_URL"),
        database_faults(settings),
    ):
        raise OperationalError("SELECT", None, ValueError("something new\nwith details"))


async def test_a_value_that_no_migration_permits_yet_is_one_line(database: Database) -> None:
    check = "CREATE TABLE known (word VARCHAR(9) CONSTRAINT ck_known CHECK (word IN ('user')))"
    async with database.engine.begin() as connection:
        await connection.execute(text(check))
        with pytest.raises(Fault) as raised, database_faults(project.get_settings()):
            await connection.execute(text("INSERT INTO known VALUES ('boss')"))

    assert raised.value.detail == "the database refuses a value: check ck_known"
    assert "alembic revision --autogenerate" in raised.value.remedy


def test_a_check_of_sqlite_is_named() -> None:
    """The test above runs in a greenlet, whose lines are not measured after an exception."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE known (word CONSTRAINT ck_known CHECK (word = 'user'))")
        with pytest.raises(sqlite3.IntegrityError) as refused:
            connection.execute("INSERT INTO known VALUES ('boss')")

    with pytest.raises(Fault, match="check ck_known"), database_faults(project.get_settings()):
        raise IntegrityError("INSERT", None, refused.value)


async def test_only_threads_of_drivers_are_waited_for() -> None:
    may_end = threading.Event()
    async with threads_ended():
        own = threading.Thread(target=may_end.wait)
        own.start()
        driver = threading.Thread(target=lambda: None, daemon=True)
        driver.start()

    assert (own.is_alive(), driver.is_alive()) == (True, False)
    may_end.set()
    own.join()
