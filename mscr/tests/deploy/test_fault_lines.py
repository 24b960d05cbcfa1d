"""Every command reports every database fault in one line: the cause, the remedy, no secret."""

import asyncio
import secrets
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest
from sqlalchemy import text

from mscr.testing.callers import server_that_never_answers
from mscr.testing.certificates import server_context, write_certificate
from mscr.testing.commands import Ended, finish, start
from mscr.testing.postgres import PostgresServer
from mscr.testing.tls_servers import postgres_with_tls, server_that_says, server_with_tls
from mscr.testing.waiting import connection_to
from mscr.tests.core.test_diagnosis import SECRET, prepare, url_of
from mscr.tests.data.faults import TEMPLATE, private_server
from mscr.tests.support.paths import ALEMBIC, CLI

pytestmark = pytest.mark.long


COMMANDS = {
    "doctor": [*CLI, "doctor"],
    "init-db": [*CLI, "init-db"],
    "list-users": [*CLI, "list-users"],
    "seed": [*CLI, "seed"],
    "alembic current": [*ALEMBIC, "current"],
    "alembic upgrade": [*ALEMBIC, "upgrade", "head"],
}
# Lines that Alembic prints before it does anything.
CHATTER = ("Context impl", "Will assume", "Running upgrade")
SETTINGS = {
    "ENVIRONMENT": "test",
    "SECRET_KEY": secrets.token_urlsafe(48),
    "JWT_SECRET_KEY": secrets.token_urlsafe(48),
    "ARGON2_MEMORY_KIB": "8",
    "ARGON2_TIME_COST": "1",
    "DATABASE_LOCK_TIMEOUT_SECONDS": "0.3",
    "DATABASE_CONNECT_TIMEOUT_SECONDS": "1",
    "DATABASE_MIGRATION_LOCK_TIMEOUT_SECONDS": "1",
}

each_command = pytest.mark.parametrize(
    "command", ["doctor", "init-db", "list-users", "alembic upgrade"]
)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with private_server() as server:
        hba = server.scratch.path / "data" / "pg_hba.conf"
        rules = "local all guarded scram-sha-256\nlocal all banned reject\n"
        hba.write_text(rules + hba.read_text())
        asyncio.run(prepare(server))
        yield server


@pytest.fixture(scope="module")
def standby() -> Iterator[PostgresServer]:
    with private_server() as server:
        asyncio.run(server.create_database("empty"))
        server.stop()
        (server.scratch.path / "data" / "standby.signal").touch()
        server.start()
        yield server


async def run(command: str, database_url: str, **settings: str) -> Ended:
    environment = {**SETTINGS, "DATABASE_URL": database_url, **settings}
    process = start(COMMANDS[command], environment)
    return await asyncio.to_thread(finish, process)


def line_of(ended: Ended) -> str:
    """Return the one line that reports a fault. The other lines of `doctor` begin with `ok`."""
    lines = ended.output.splitlines()
    wrong = [line for line in lines if line.strip() and not line.startswith((*CHATTER, "ok "))]
    assert ended.status != 0, ended.output
    assert len(wrong) == 1, ended.output
    assert SECRET not in ended.output
    return wrong[0]


REFUSED = {
    "wrong password": ("guarded", TEMPLATE, "password", "correct user and password"),
    "unknown role": ("nobody_here", TEMPLATE, "nobody_here", "create the role"),
    "role without login": ("group_only", TEMPLATE, "log in", "ALTER ROLE"),
    "unknown database": ("poor", "elsewhere", "elsewhere", "create the database"),
    "refused by pg_hba.conf": ("banned", TEMPLATE, "banned", "pg_hba.conf"),
    "too many connections": ("single", TEMPLATE, "too many", "limit"),
    "no privilege": ("poor", TEMPLATE, "permission denied", "GRANT"),
}


@each_command
@pytest.mark.parametrize("fault", REFUSED.values(), ids=REFUSED.keys())
async def test_postgresql_refuses(
    server: PostgresServer, fault: tuple[str, str, str, str], command: str
) -> None:
    user, database, cause, remedy = fault

    line = line_of(await run(command, url_of(server, user, database)))

    assert cause in line
    assert remedy in line


UNREACHABLE = {
    "refused": ("127.0.0.1:1/app", "refused", "start PostgreSQL"),
    "unknown host": ("nowhere.invalid/app", "host name", "DATABASE_URL"),
    "missing socket": ("localhost/app?host=/nowhere", "does not exist", "correct the path"),
}


@each_command
@pytest.mark.parametrize("fault", UNREACHABLE.values(), ids=UNREACHABLE.keys())
async def test_postgresql_cannot_be_reached(fault: tuple[str, str, str], command: str) -> None:
    address, cause, remedy = fault

    line = line_of(await run(command, f"postgresql://me:{SECRET}@{address}"))

    assert cause in line
    assert remedy in line


@each_command
async def test_postgresql_does_not_answer(command: str) -> None:
    async with server_that_never_answers() as port:
        line = line_of(await run(command, f"postgresql://me:{SECRET}@127.0.0.1:{port}/app"))

    assert "no response in time" in line
    assert "firewalls" in line


@pytest.fixture
async def with_tls(tmp_path: Path) -> AsyncIterator[dict[str, str]]:
    """Start servers whose certificates are wrong, and return their URLs by the fault."""
    own = write_certificate(tmp_path / "own.pem", "localhost")
    old = write_certificate(tmp_path / "old.pem", "localhost", days=-1)
    other = write_certificate(tmp_path / "other.pem", "elsewhere.example")

    def url(port: int, authority: Path) -> str:
        options = f"sslmode=verify-full&sslrootcert={authority}"
        return f"postgresql://me:{SECRET}@localhost:{port}/app?{options}"

    async with AsyncExitStack() as stack:

        async def serve(path: Path | None) -> int:
            context = server_context(path) if path else None
            return await stack.enter_async_context(postgres_with_tls(context))

        yield {
            "of another authority": url(await serve(own), other),
            "expired": url(await serve(old), old),
            "of another host": url(await serve(other), other),
            "without TLS": url(await serve(None), own),
        }


CERTIFICATES = {
    "of another authority": ("self-signed", "sslrootcert"),
    "expired": ("expired", "renew it"),
    "of another host": ("another host name", "the certificate's host name"),
    "without TLS": ("does not offer TLS", "sslmode"),
}


@each_command
@pytest.mark.parametrize("fault", CERTIFICATES)
async def test_the_certificate_is_wrong(with_tls: dict[str, str], fault: str, command: str) -> None:
    line = line_of(await run(command, with_tls[fault]))

    for words in CERTIFICATES[fault]:
        assert words in line


@each_command
async def test_a_file_of_the_url_is_missing(command: str) -> None:
    url = f"postgresql://me:{SECRET}@localhost/app?sslmode=verify-full&sslrootcert=/nowhere.pem"

    assert "sslrootcert" in line_of(await run(command, url))


@pytest.mark.parametrize("command", ["doctor", "init-db", "alembic upgrade"])
async def test_the_server_is_a_standby_that_was_never_migrated(
    standby: PostgresServer, command: str
) -> None:
    ended = await run(command, standby.url("empty"))

    assert ended.status != 0
    assert "Traceback" not in ended.output
    assert "read-only" in ended.output
    assert "primary" in ended.output
    assert "init-db" not in ended.output


@pytest.mark.parametrize("command", ["doctor", "seed"])
async def test_the_server_is_a_standby(standby: PostgresServer, command: str) -> None:
    line = line_of(await run(command, standby.url(TEMPLATE)))

    assert "read-only" in line
    assert "primary" in line


@pytest.mark.parametrize("command", ["doctor", "init-db", "alembic current", "alembic upgrade"])
async def test_the_database_is_newer_than_the_code(server: PostgresServer, command: str) -> None:
    name = f"newer_{secrets.token_hex(4)}"
    await server.create_database(name, template=TEMPLATE)
    async with connection_to(server.url(name)) as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = 'feedbeef'"))

    line = line_of(await run(command, server.url(name)))

    assert "feedbeef" in line
    assert "deploy the code that has it" in line


@pytest.mark.parametrize("command", ["doctor", "init-db", "alembic upgrade"])
async def test_the_role_may_not_create(server: PostgresServer, command: str) -> None:
    name = f"empty_{secrets.token_hex(4)}"
    await server.create_database(name)

    line = line_of(await run(command, url_of(server, "poor", name)))

    assert "GRANT USAGE, CREATE ON SCHEMA" in line
    assert "init-db" not in line


@each_command
async def test_the_folder_of_sqlite_is_missing(tmp_path: Path, command: str) -> None:
    line = line_of(await run(command, f"sqlite:///{tmp_path}/missing/app.db"))

    assert "create the folder" in line


@each_command
async def test_the_file_is_no_database(tmp_path: Path, command: str) -> None:
    (tmp_path / "app.db").write_text("a text " * 1000)

    line = line_of(await run(command, f"sqlite:///{tmp_path}/app.db"))

    assert "not an SQLite database" in line
    assert "correct the path" in line


@pytest.mark.parametrize("command", ["doctor", "init-db", "seed", "alembic upgrade"])
async def test_another_process_writes_to_sqlite(tmp_path: Path, command: str) -> None:
    with closing(sqlite3.connect(tmp_path / "app.db", isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("BEGIN IMMEDIATE")
        line = line_of(await run(command, f"sqlite:///{tmp_path}/app.db"))

    assert "another process" in line


async def test_the_server_at_the_redis_url_is_no_redis(tmp_path: Path) -> None:
    path = write_certificate(tmp_path / "own.pem", "localhost")
    database = f"sqlite:///{tmp_path}/app.db"
    assert (await run("init-db", database)).status == 0
    async with AsyncExitStack() as stack:
        encrypted = await stack.enter_async_context(server_with_tls(server_context(path)))
        plain = await stack.enter_async_context(server_that_says(b"-ERR what\r\n"))
        for url, cause in {
            f"rediss://:{SECRET}@localhost:{encrypted}/0": "self-signed",
            f"rediss://:{SECRET}@localhost:{plain}/0": "does not speak TLS",
            f"redis://:{SECRET}@localhost:{encrypted}/0": "closed the connection",
        }.items():
            line = line_of(await run("doctor", database, REDIS_URL=url))
            assert cause in line
            assert "REDIS_URL" in line
