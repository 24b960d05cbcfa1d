"""Diagnosis of real faults of each service: the cause, the remedy, and no secret."""

import asyncio
import errno
import sqlite3
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, closing
from datetime import timedelta
from pathlib import Path
from socket import EAI_AGAIN, gaierror

import asyncpg
import pytest
from limits import parse
from limits.aio.strategies import FixedWindowRateLimiter
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from examples.catalogue.core.config import Settings
from examples.catalogue.db.session import Database
from mscr.connections.backing_services import DATABASE, MAIL, STORE, log_fields
from mscr.connections.counter_store import open_counter_store
from mscr.connections.diagnosis import Diagnosis, Service, diagnose
from mscr.db.driver_threads import threads_ended
from mscr.db.engine import _connect_postgresql
from mscr.mail.message import Mail
from mscr.mail.smtp_mailer import SmtpMailer
from mscr.testing.certificates import server_context, write_certificate
from mscr.testing.postgres import PORT, PostgresServer
from mscr.testing.tls_servers import postgres_with_tls, server_that_says, server_with_tls
from mscr.testing.valkey import ValkeyServer
from mscr.testing.waiting import connection_to
from mscr.tests.data.faults import TEMPLATE, private_server

SECRET = "hunter2-is-secret"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """Start PostgreSQL with roles of few privileges."""
    with private_server() as server:
        hba = server.scratch.path / "data" / "pg_hba.conf"
        rules = "local all guarded scram-sha-256\nlocal all banned reject\n"
        hba.write_text(rules + hba.read_text())
        asyncio.run(prepare(server))
        yield server


async def prepare(server: PostgresServer) -> None:
    async with connection_to(server.url(TEMPLATE)) as connection:
        for statement in (
            f"CREATE ROLE guarded LOGIN PASSWORD '{SECRET}'",
            "CREATE ROLE banned LOGIN",
            "CREATE ROLE poor LOGIN",
            "CREATE ROLE group_only NOLOGIN",
            "CREATE ROLE single LOGIN CONNECTION LIMIT 0",
            "SELECT pg_reload_conf()",
        ):
            await connection.execute(text(statement))


def url_of(server: PostgresServer, user: str, database: str = TEMPLATE) -> str:
    place = f"host={server.scratch.path}&port={PORT}"
    return f"postgresql+asyncpg://{user}:{SECRET}x@localhost/{database}?{place}"


async def fault_of(url: str, statement: str, *, read_only: bool = False) -> BaseException:
    """Return the exception that the application's own engine raises."""
    settings = Settings.from_env_file(None, DATABASE_URL=url, DATABASE_LOCK_TIMEOUT_SECONDS=0.2)
    database = Database(settings)
    sessions = database.read_sessions if read_only else database.sessions
    async with threads_ended():
        try:
            async with sessions() as session:
                await session.execute(text(statement))
        except Exception as error:  # noqa: BLE001  # any error is returned
            return error
        finally:
            await database.close()
    raise AssertionError("nothing was wrong")


def check(error: BaseException, service: Service, cause: str, remedy: str) -> None:
    found = diagnose(error, service)
    assert found is not None, repr(error)
    assert cause in found.cause, found
    assert remedy in found.remedy, found
    assert SECRET not in str(found)
    assert "\n" not in str(found)


POSTGRESQL = {
    "wrong password": ("guarded", TEMPLATE, "SELECT 1", "password", "correct user and password"),
    "unknown role": ("nobody_here", TEMPLATE, "SELECT 1", "nobody_here", "create the role"),
    "role without login": ("group_only", TEMPLATE, "SELECT 1", "log in", "ALTER ROLE"),
    "unknown database": ("poor", "elsewhere", "SELECT 1", "elsewhere", "create the database"),
    "refused by pg_hba.conf": ("banned", TEMPLATE, "SELECT 1", "banned", "pg_hba.conf"),
    "too many connections": ("single", TEMPLATE, "SELECT 1", "too many", "role's limit"),
    "no CREATE on public": (
        "poor",
        TEMPLATE,
        "CREATE TABLE t (i int)",
        "permission denied for schema public",
        "GRANT USAGE, CREATE ON SCHEMA public",
    ),
    "no privilege": ("poor", TEMPLATE, "SELECT * FROM users", "users", "GRANT"),
    "not the owner": ("poor", TEMPLATE, "DROP TABLE users", "must be owner", "owns it"),
    "missing table": ("poor", "postgres", "SELECT * FROM users", "users", "cli.py init-db"),
}


@pytest.mark.parametrize("fault", POSTGRESQL.values(), ids=POSTGRESQL.keys())
async def test_postgresql(server: PostgresServer, fault: tuple[str, str, str, str, str]) -> None:
    user, database, statement, cause, remedy = fault
    error = await fault_of(url_of(server, user, database), statement)

    check(error, DATABASE, cause, remedy)


async def test_postgresql_that_is_read_only(server: PostgresServer) -> None:
    error = await fault_of(server.url(TEMPLATE), "DELETE FROM users", read_only=True)

    check(error, DATABASE, "read-only", "primary")


async def test_postgresql_with_a_locked_table(server: PostgresServer) -> None:
    async with connection_to(server.url(TEMPLATE)) as connection:
        await connection.exec_driver_sql("BEGIN")
        await connection.exec_driver_sql("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
        error = await fault_of(server.url(TEMPLATE), "SELECT * FROM users")
        await connection.exec_driver_sql("ROLLBACK")

    check(error, DATABASE, "holds a lock", "pg_stat_activity")


async def test_postgresql_that_takes_no_connections(server: PostgresServer) -> None:
    await server.create_database("closed")
    async with connection_to(server.url("postgres")) as connection:
        await connection.exec_driver_sql("ALTER DATABASE closed ALLOW_CONNECTIONS false")
    error = await fault_of(server.url("closed"), "SELECT 1")

    check(error, DATABASE, "closed", "ALLOW_CONNECTIONS true")


UNREACHABLE = {
    "refused": ("127.0.0.1:1/app", "refused", "start PostgreSQL"),
    "unknown host": ("nowhere.invalid/app", "host name", "DATABASE_URL"),
    "missing socket": ("localhost/app?host=/nowhere", "does not exist", "correct the path"),
}


@pytest.mark.parametrize("fault", UNREACHABLE.values(), ids=UNREACHABLE.keys())
async def test_postgresql_that_cannot_be_reached(fault: tuple[str, str, str]) -> None:
    address, cause, remedy = fault
    error = await fault_of(f"postgresql+asyncpg://me:{SECRET}@{address}", "SELECT 1")

    check(error, DATABASE, cause, remedy)


def trusting(path: Path | None = None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=path)


async def connect_with_tls(
    port: int, context: ssl.SSLContext, host: str = "127.0.0.1"
) -> BaseException:
    try:
        await _connect_postgresql(
            host=host, port=port, user="me", password=SECRET, database="app", ssl=context, timeout=9
        )
    except Exception as error:  # noqa: BLE001  # any error is returned
        return error
    raise AssertionError("nothing was wrong")


async def test_postgresql_of_an_authority_that_is_not_trusted(tmp_path: Path) -> None:
    path = write_certificate(tmp_path / "own.pem", "localhost")
    async with postgres_with_tls(server_context(path)) as port:
        error = await connect_with_tls(port, trusting(), "localhost")

    check(error, DATABASE, "self-signed", "sslrootcert in DATABASE_URL")


async def test_postgresql_with_the_certificate_of_another_host(tmp_path: Path) -> None:
    path = write_certificate(tmp_path / "other.pem", "elsewhere.example")
    async with postgres_with_tls(server_context(path)) as port:
        by_name = await connect_with_tls(port, trusting(path), "localhost")
        by_address = await connect_with_tls(port, trusting(path))

    check(by_name, DATABASE, "another host name", "the certificate's host name")
    check(by_address, DATABASE, "not for this IP address", "the certificate's host name")


async def test_postgresql_with_an_expired_certificate(tmp_path: Path) -> None:
    path = write_certificate(tmp_path / "old.pem", "localhost", days=-1)
    async with postgres_with_tls(server_context(path)) as port:
        error = await connect_with_tls(port, trusting(path), "localhost")

    check(error, DATABASE, "expired", "renew it")


async def test_postgresql_without_tls() -> None:
    async with postgres_with_tls(None) as port:
        error = await connect_with_tls(port, trusting())

    check(error, DATABASE, "does not offer TLS", "sslmode")


async def test_key_files(tmp_path: Path) -> None:
    """Errors from loading certificates into an SSL context, wherever the code does that."""
    own = write_certificate(tmp_path / "own.pem", "a.example")
    other = write_certificate(tmp_path / "other.pem", "a.example")
    (tmp_path / "text.pem").write_text("no certificate")
    context = ssl.create_default_context()
    for paths, cause in {
        (own, other): "does not belong",
        (tmp_path / "text.pem", None): "PEM",
        (tmp_path / "missing.pem", None): "does not exist",
    }.items():
        with pytest.raises(OSError) as caught:  # noqa: PT011  # the classes differ
            context.load_cert_chain(*paths)
        check(caught.value, DATABASE, cause, "")
    check(PermissionError(errno.EACCES, "Permission denied"), DATABASE, "may not use", "read")


# --- SQLite


async def test_sqlite_in_a_folder_that_is_missing(tmp_path: Path) -> None:
    error = await fault_of(f"sqlite+aiosqlite:///{tmp_path}/missing/app.db", "SELECT 1")

    check(error, DATABASE, "cannot be opened", "create the folder")


async def test_sqlite_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "app.db").write_text("this is a text, and long enough to be read as one" * 20)
    error = await fault_of(f"sqlite+aiosqlite:///{tmp_path}/app.db", "SELECT 1")

    check(error, DATABASE, "not an SQLite database", "correct the path")


async def test_sqlite_without_a_schema(tmp_path: Path) -> None:
    error = await fault_of(f"sqlite+aiosqlite:///{tmp_path}/app.db", "SELECT * FROM users")

    check(error, DATABASE, "no such table: users", "cli.py init-db")


async def test_sqlite_that_another_process_writes(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/app.db"
    with closing(sqlite3.connect(tmp_path / "app.db", isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("BEGIN IMMEDIATE")
        error = await fault_of(url, "CREATE TABLE t (i int)")

    check(error, DATABASE, "write lock", "wait")


def test_sqlite_with_a_full_disk(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "app.db")) as connection:
        connection.execute("PRAGMA max_page_count = 1")
        with pytest.raises(sqlite3.Error) as caught:
            connection.execute("CREATE TABLE t (i int)")

    check(caught.value, DATABASE, "disk is full", "free some space")


def test_sqlite_that_may_not_be_written(tmp_path: Path) -> None:
    """Root may write everywhere, so the file is opened read-only."""
    sqlite3.connect(tmp_path / "app.db").close()
    url = f"file:{tmp_path}/app.db?mode=ro"
    with (
        closing(sqlite3.connect(url, uri=True)) as connection,
        pytest.raises(sqlite3.Error) as caught,
    ):
        connection.execute("CREATE TABLE t (i int)")

    check(caught.value, DATABASE, "may not write", "right to write")


# --- Redis


@pytest.fixture(scope="module")
def store() -> Iterator[ValkeyServer]:
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv(ValkeyServer.variable, raising=False)
        with ValkeyServer() as server:
            yield server


@pytest.fixture
async def redis(store: ValkeyServer) -> AsyncIterator[Redis]:
    async with Redis.from_url(store.url) as client:
        yield client
        await client.config_set("maxmemory", 0)
        await client.config_set("requirepass", "")
        await client.replicaof("NO", "ONE")


async def count(url: str) -> BaseException:
    storage = open_counter_store(url, keepalive=timedelta(seconds=30))
    try:
        await FixedWindowRateLimiter(storage).hit(parse("1/minute"), "a")
    except Exception as error:  # noqa: BLE001  # any error is returned
        return error
    finally:
        await storage.bridge.get_connection().aclose()  # type: ignore[attr-defined]  # as in rate_limit
    raise AssertionError("nothing was wrong")


async def test_redis_that_is_read_only(store: ValkeyServer, redis: Redis) -> None:
    await redis.replicaof("127.0.0.1", "1")

    check(await count(store.url), STORE, "replica", "primary")


async def test_redis_that_is_full(store: ValkeyServer, redis: Redis) -> None:
    await redis.config_set("maxmemory", 1)

    check(await count(store.url), STORE, "memory is full", "maxmemory")


async def test_redis_with_a_password(store: ValkeyServer, redis: Redis) -> None:
    await redis.config_set("requirepass", SECRET)
    wrong = store.url.replace("unix://", "unix://:wrong@")

    check(await count(store.url), STORE, "requires a password", "add it to REDIS_URL")
    check(await count(wrong), STORE, "is wrong", "correct user and password")


async def test_redis_without_so_many_databases(store: ValkeyServer) -> None:
    error = await count(store.url.replace("db=0", "db=99"))

    check(error, STORE, "no database with this number", "at the end of REDIS_URL")


async def test_redis_that_cannot_be_reached() -> None:
    check(await count("redis://127.0.0.1:1/0"), STORE, "refused", "start Redis")
    check(await count("redis://nowhere.invalid:6379/0"), STORE, "host name", "REDIS_URL")
    check(await count("unix:///nowhere/socket"), STORE, "does not exist", "correct the path")


async def test_redis_with_and_without_tls(tmp_path: Path) -> None:
    path = write_certificate(tmp_path / "own.pem", "localhost")
    async with AsyncExitStack() as stack:
        encrypted = await stack.enter_async_context(server_with_tls(server_context(path)))
        plain = await stack.enter_async_context(server_that_says(b"-ERR what\r\n"))
        web = await stack.enter_async_context(server_that_says(b"HTTP/1.1 400 Bad Request\r\n"))

        check(await count(f"rediss://localhost:{encrypted}/0"), STORE, "self-signed", "ssl_ca")
        check(await count(f"rediss://localhost:{plain}/0"), STORE, "not speak TLS", "rediss://")
        check(await count(f"redis://localhost:{encrypted}/0"), STORE, "closed", "rediss://")
        check(await count(f"redis://localhost:{web}/0"), STORE, "not Redis", "port")


# --- Mail


async def send(url: str) -> BaseException:
    mail = Mail(recipient="ada@example.com", subject="Hello", text="Ada")
    try:
        await SmtpMailer(url, sender="no-reply@example.com").send(mail, mail_id="1")
    except Exception as error:  # noqa: BLE001  # any error is returned
        return error
    raise AssertionError("nothing was wrong")


async def test_mail_servers(tmp_path: Path) -> None:
    path = write_certificate(tmp_path / "own.pem", "localhost")
    async with AsyncExitStack() as stack:
        encrypted = await stack.enter_async_context(server_with_tls(server_context(path)))

        check(await send("smtp://127.0.0.1:1"), MAIL, "refused", "SMTP_URL")
        check(await send("smtp://nowhere.invalid:1"), MAIL, "host name", "SMTP_URL")
        check(await send(f"smtps://localhost:{encrypted}"), MAIL, "self-signed", "trust")


# --- errors that are no fault of a service


def test_a_bug_has_no_diagnosis() -> None:
    assert diagnose(KeyError("title"), DATABASE) is None
    assert log_fields(KeyError("title"), DATABASE) == {"reason": "KeyError"}


async def test_a_wrong_statement_has_no_diagnosis(server: PostgresServer, tmp_path: Path) -> None:
    for url in (server.url(TEMPLATE), f"sqlite+aiosqlite:///{tmp_path}/app.db"):
        error = await fault_of(url, "NO SUCH STATEMENT")
        assert isinstance(error, DBAPIError)
        assert diagnose(error, DATABASE) is None


def test_the_innermost_cause_is_found_and_a_cycle_ends() -> None:
    outer, inner = ValueError("outer"), TimeoutError()
    outer.__cause__ = ExceptionGroup("several", [RuntimeError("other"), inner])
    inner.__cause__ = outer

    check(outer, DATABASE, "no response in time", "firewalls")


def test_other_errors_have_a_general_diagnosis() -> None:
    check(OSError(errno.EIO, "Input/output error"), DATABASE, "Input/output error", "DATABASE_URL")
    check(EOFError(), STORE, "closed by the other side", "check that Redis runs")
    check(asyncio.IncompleteReadError(b"", 1), STORE, "closed by the other side", "REDIS_URL")
    check(gaierror(EAI_AGAIN, "try again"), DATABASE, "no name server replied", "DNS")
    check(ssl.SSLCertVerificationError(1, "new"), DATABASE, "not accepted", "sslrootcert")


async def test_an_exhausted_pool(server: PostgresServer) -> None:
    settings = Settings.from_env_file(
        None,
        DATABASE_URL=server.url(TEMPLATE),
        DATABASE_POOL_SIZE=1,
        DATABASE_POOL_TIMEOUT_SECONDS=0.1,
    )
    database = Database(settings)
    async with database.engine.connect():
        with pytest.raises(PoolTimeoutError) as caught:
            _ = await database.engine.connect()
    await database.close()

    check(caught.value, DATABASE, "every connection", "DATABASE_POOL_SIZE")


def test_a_long_message_is_truncated() -> None:
    error = asyncpg.InvalidPasswordError("p" * 1000)
    found = diagnose(error, DATABASE)

    assert isinstance(found, Diagnosis)
    assert len(found.cause) < 400
