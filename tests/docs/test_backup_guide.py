"""docs/backups.md: its commands work with the application's own data."""

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from app.core.config import PROJECT_ROOT
from mscr.testing.postgres import INSTALLATION, PORT, WHEEL, PostgresServer
from mscr.testing.server import wheel_directory
from tests.docs.markdown import code_blocks
from tests.docs.project_copy import ProjectCopy

BLOCKS = [block.code for block in code_blocks(PROJECT_ROOT / "docs/backups.md")]
# Events of the audit log: a table without a full-text index, which only the application can write.
ADD = """
INSERT INTO audit_events (public_id, occurred_at, action, outcome, operation, address)
VALUES (:n, CURRENT_TIMESTAMP, 'load', 'success', :n, '')
"""
ADDED = "SELECT operation FROM audit_events WHERE action = 'load'"


def block(beginning: str) -> str:
    [found] = [code for code in BLOCKS if beginning in code.splitlines()[0]]
    return found


@pytest.fixture
def project(tmp_path: Path) -> ProjectCopy:
    """Return a copy of the project with demo data in its database."""
    copy = ProjectCopy(tmp_path / "project", PROJECT_ROOT)
    copy.run("python cli.py generate-keys > .env && python cli.py init-db && python cli.py seed")
    return copy


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv(PostgresServer.variable, raising=False)
        with PostgresServer() as started:
            asyncio.run(started.create_database("app"))
            yield started


@pytest.fixture
def libpq(server: PostgresServer) -> dict[str, str]:
    """Return the environment of PostgreSQL's client programs."""
    wheel = wheel_directory(WHEEL)
    assert wheel is not None
    programs = f"{wheel / INSTALLATION / 'bin'}"
    return {
        "PATH": f"{PROJECT_ROOT}/.venv/bin:{programs}:{os.environ['PATH']}",
        "PGHOST": str(server.scratch.path),
        "PGPORT": PORT,
        "PGUSER": "postgres",
        "PGDATABASE": "app",
    }


def rows(url: str, statement: str) -> list[tuple[object, ...]]:
    async def ask() -> list[tuple[object, ...]]:
        engine = create_async_engine(url, poolclass=NullPool)
        async with engine.connect() as connection:
            return [tuple(row) for row in await connection.execute(text(statement))]

    return asyncio.run(ask())


@contextmanager
def writer(url: str) -> Iterator[list[int]]:
    """Insert rows concurrently until the end of the block; yield the acknowledged ones."""
    acknowledged: list[int] = []
    many, stopped = threading.Event(), threading.Event()

    async def write() -> None:
        engine = create_async_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        async with engine.connect() as connection:
            while not stopped.is_set():
                number = len(acknowledged)
                await connection.execute(text(ADD), {"n": str(number)})
                acknowledged.append(number)
                if number == 200:
                    many.set()

    thread = threading.Thread(target=lambda: asyncio.run(write()))
    thread.start()
    many.wait(timeout=60)
    yield acknowledged
    stopped.set()
    thread.join()


def assert_has_all(url: str, before: int) -> None:
    names = sorted(int(str(name)) for (name,) in rows(url, ADDED))
    assert before >= 200
    assert names == list(range(len(names)))
    assert len(names) >= before


def test_sqlite_is_backed_up_under_load_and_restored(project: ProjectCopy) -> None:
    url = f"sqlite+aiosqlite:///{project.path}/app.db"
    with writer(url) as acknowledged:
        before = len(acknowledged)
        project.run(block("backup-database"))
    rows(url, "DELETE FROM users RETURNING id")

    output = project.run(block("restore-database"))

    assert "sessions; everybody must log in again" in output
    assert_has_all(url, before)
    assert rows(url, "SELECT count(*) FROM users") == [(2,)]


def test_postgresql_is_dumped_under_load_and_restored(
    project: ProjectCopy, server: PostgresServer, libpq: dict[str, str]
) -> None:
    old, new = server.url("app"), server.url("app_restored")
    project.run("python cli.py init-db && python cli.py seed", DATABASE_URL=old)
    with writer(old) as acknowledged:
        before = len(acknowledged)
        project.run(block("PostgreSQL: back up"), **libpq)

    project.run(block("PostgreSQL: restore"), **libpq)
    output = project.run(block("PostgreSQL: start"), **libpq, DATABASE_URL=new)

    assert "FAILED" not in output
    assert_has_all(new, before)
    # Sequences for new rows work in the restored database.
    project.run(
        "echo 'correct horse battery' | python cli.py create-user --email x@example.com"
        " --password-stdin",
        DATABASE_URL=new,
    )


def test_search_works_in_a_restored_database(
    project: ProjectCopy, server: PostgresServer, libpq: dict[str, str]
) -> None:
    catalogue = "python -m examples.catalogue"
    keys = "set -a; . ./.env; set +a"
    project.run(f"{keys}; {catalogue} init-db && {catalogue} seed", DATABASE_URL=server.url("app"))

    project.run(block("PostgreSQL: back up"), **libpq)
    project.run(block("PostgreSQL: restore"), **libpq)

    found = "SELECT count(*) FROM items WHERE search_vector @@ 'demo'"
    assert rows(server.url("app_restored"), found) == [(20,)]


def test_sqlite_is_moved_to_postgresql(project: ProjectCopy, server: PostgresServer) -> None:
    url = server.url("app")

    output = project.run(block("alembic upgrade head"), DATABASE_URL=url)

    assert "copied 2 rows of users" in output
    assert "FAILED" not in output
    assert rows(url, "SELECT count(*) FROM users") == [(2,)]


def test_every_block_is_tested() -> None:
    assert len(BLOCKS) == 6
