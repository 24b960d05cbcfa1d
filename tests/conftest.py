"""Fixtures: a migrated database of its own for each test, and the application on top of it.

A test that uses `client`, `app` or `settings` runs twice, on SQLite and on PostgreSQL.
"""

import gc
import os
import secrets
import signal
import sys
import tempfile
import threading
from pathlib import Path

# Modules and tests are loaded to stay: looking for garbage among them takes a quarter of the time.
gc.set_threshold(50_000, 20, 50)

SCRATCH = Path(tempfile.mkdtemp(prefix="backend-tests-"))

# Before the application is imported, which reads them once: a test never touches the database,
# the .env or the secrets of the person who runs it.
os.environ.update(
    ENVIRONMENT="test",
    ENV_FILE=os.devnull,
    SECRET_KEY=secrets.token_urlsafe(48),
    JWT_SECRET_KEY=secrets.token_urlsafe(48),
    DATABASE_URL=f"sqlite+aiosqlite:///{SCRATCH}/unused.db",
    RATE_LIMIT_ENABLED="false",
    ARGON2_MEMORY_KIB="8",
    ARGON2_TIME_COST="1",
)

# A shell that runs its commands in the background ignores SIGINT, and all that these start does so
# too. Tests interrupt processes.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The environment comes first.
# ruff: noqa: E402
import asyncio
import io
import logging
import shutil
from collections.abc import AsyncIterator, Iterator

import coverage
import pytest
from alembic import command
from alembic.config import Config
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

from app.core.config import PROJECT_ROOT, Settings
from app.core.state import Collaborators
from app.db.session import Database
from app.main import create_app
from tests.support.api import Api
from tests.support.databases import share_compiled
from tests.support.postgres import PostgresServer
from tests.support.statements import StatementCounter
from tests.support.valkey import ValkeyServer

# Each of them takes ten seconds and more, some of them with few tests.
LONG_MODULES = (
    "tests/api/test_answers",
    "tests/api/test_export",
    "tests/data/test_list_plans",
    "tests/fuzz/",
    "tests/test_cli",
    "tests/benchmarks/test_benchmarks",
    "tests/docs/test_agents",
    "tests/docs/test_readme",
    "races",
    "two_processes",
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long modules: at the end, one process would wait for another's."""
    items.sort(key=lambda item: not any(name in item.nodeid for name in LONG_MODULES))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Measure what runs on both databases on one of them: measuring doubles the time.

    That is PostgreSQL, which has more code of its own.
    """
    if coverage.Coverage.current() is None or not _is_measured_on_postgresql(item):
        return (yield)
    with pytest.MonkeyPatch.context() as environment:
        # Of processes that the test starts.
        for name in [name for name in os.environ if name.startswith("COVERAGE_")]:
            environment.delenv(name)
        tracing, tracing_threads = sys.gettrace(), threading.gettrace()
        sys.settrace(None)
        threading.settrace(None)
        try:
            return (yield)
        finally:
            sys.settrace(tracing)
            threading.settrace(tracing_threads)


def _is_measured_on_postgresql(item: pytest.Item) -> bool:
    called = getattr(item, "callspec", None)
    if called is None or called.params.get("backend") != "sqlite":
        return False
    # What is there for SQLite alone has its tests there, or they run on it alone and say so.
    given = [str(marker.args[:1]) for marker in item.iter_markers("parametrize")]
    return not any("backend" in names for names in given) and "tests/data/" not in item.nodeid


def pytest_collection_finish() -> None:
    """What is loaded by now stays: the collector need not walk it again and again."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    shutil.rmtree(SCRATCH, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="session")
def valkey() -> Iterator[ValkeyServer]:
    with ValkeyServer() as server:
        yield server


@pytest.fixture(scope="session")
def sqlite_template() -> Path:
    path = SCRATCH / "template.db"
    migrate(f"sqlite+aiosqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres: PostgresServer, worker_id: str) -> Iterator[str]:
    name = f"template_{worker_id}_{secrets.token_hex(4)}"
    asyncio.run(postgres.create_database(name))
    migrate(postgres.url(name))
    yield name
    asyncio.run(postgres.drop_database(name))


def migrate(url: str, revision: str = "head") -> None:
    """Bring a database to a revision, as `alembic upgrade` does."""
    config = Config(PROJECT_ROOT / "alembic.ini")
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    command.upgrade(config, revision)


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def template(backend: str, request: pytest.FixtureRequest) -> str:
    """What a test's database is a copy of: a file's path, or a database's name."""
    # Started on first use: whoever runs one test on SQLite waits for no server.
    name = "sqlite_template" if backend == "sqlite" else "postgres_template"
    return str(request.getfixturevalue(name))


@pytest.fixture
async def database_url(
    backend: str, template: str, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[str]:
    """The URL of a migrated, empty database that this test alone uses."""
    if backend == "sqlite":
        path = tmp_path / "test.db"
        shutil.copy(template, path)
        yield f"sqlite+aiosqlite:///{path}"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    name = f"test_{secrets.token_hex(8)}"
    await server.create_database(name, template=template)
    yield server.url(name)
    await server.drop_database(name)


@pytest.fixture(scope="session")
def read_settings() -> dict[str, Settings]:
    """What came of reading the environment, by what differs: it takes longer than many requests."""
    return {}


@pytest.fixture
def settings(
    database_url: str, request: pytest.FixtureRequest, read_settings: dict[str, Settings]
) -> Settings:
    """The settings of the environment above, with those of `@pytest.mark.settings(...)`."""
    # The closest one comes first, and so has the last word.
    markers = reversed(list(request.node.iter_markers("settings")))
    values = {name: value for marker in markers for name, value in marker.kwargs.items()}
    key = repr((database_url.partition(":")[0], sorted(values.items())))
    if key not in read_settings:
        read_settings[key] = Settings(_env_file=None, DATABASE_URL=database_url, **values)
    return read_settings[key].model_copy(update={"DATABASE_URL": database_url}, deep=True)


@pytest.fixture(scope="session")
def built_apps() -> dict[str, FastAPI]:
    """Applications that tests left as they were made, by their settings."""
    return {}


@pytest.fixture
async def app(settings: Settings, built_apps: dict[str, FastAPI]) -> AsyncIterator[FastAPI]:
    """An application with collaborators and a database of its own.

    Its routes are those of an earlier test with the same settings: the framework takes longer to
    put them together, with the first request, than most tests take for the rest.
    """
    differing = settings.model_dump(exclude={"DATABASE_URL", "DATABASE_REPLICA_URL"})
    key = repr((settings.is_sqlite, differing))
    application = built_apps.pop(key, None) or create_app(settings)
    application.state.collaborators = Collaborators.from_settings(settings)
    application.state.database = Database(settings)
    share_compiled(application.state.database)
    routes = len(application.routes)
    async with application.router.lifespan_context(application):
        yield application
    if len(application.routes) == routes and not application.dependency_overrides:
        built_apps[key] = application


@pytest.fixture
def database(app: FastAPI) -> Database:
    """The application's own engines and sessions, for looking at what it left behind."""
    found: Database = app.state.database
    return found


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """A client of the whole application, middleware included; errors come as responses."""
    transport = ASGITransport(app=app, raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://testserver") as http:
        yield http


@pytest.fixture
def api(client: AsyncClient, database: Database) -> Api:
    """Ready-made steps: register somebody, make an administrator, create an item."""
    return Api(client, database)


@pytest.fixture
def queries(database: Database) -> StatementCounter:
    """`with queries.at_most(2): await client.get(...)` fails when a request takes more SQL."""
    return StatementCounter(database)


@pytest.fixture
def log_output(app: FastAPI) -> io.StringIO:
    """What the application's own handler writes from now on, as it would on standard output."""
    output = io.StringIO()
    [handler] = [h for h in logging.getLogger().handlers if type(h) is logging.StreamHandler]
    handler.setStream(output)
    return output
