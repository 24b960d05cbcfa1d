"""The pytest plugin of an application: fixtures for its databases, settings, client and accounts.

Load it in `tests/conftest.py`, before anything of the application, and return the application from
the fixture `tested_project`:

    pytest_plugins = ["mscr.testing.plugin"]

A test that uses `client`, `app` or `settings` runs twice, on SQLite and on PostgreSQL. Each test
gets its own migrated database and an application on it.
"""

import gc
import os
import secrets
import signal
import sys
import tempfile
import threading
from pathlib import Path

# Collect garbage rarely: modules and tests stay loaded, and scanning them takes a quarter of the
# time.
gc.set_threshold(50_000, 20, 50)

SCRATCH = Path(tempfile.mkdtemp(prefix="backend-tests-"))

# Set the environment before importing the application, which reads it once: a test never touches
# the database, the .env or the secrets of the person who runs it.
os.environ.update(
    ENVIRONMENT="test",
    ENV_FILE=os.devnull,
    SECRET_KEY=secrets.token_urlsafe(48),
    JWT_SECRET_KEY=secrets.token_urlsafe(48),
    DATABASE_URL=f"sqlite+aiosqlite:///{SCRATCH}/unused.db",
    # Tests of concurrent requests share the machine with others: a long queue is no fault.
    DATABASE_POOL_TIMEOUT_SECONDS="30",
    RATE_LIMIT_ENABLED="false",
    # A search for jobs in the middle of a test would count as one of its statements.
    JOBS_POLL_SECONDS="3600",
    CLEANUP_SCHEDULED="false",
    ARGON2_MEMORY_KIB="8",
    ARGON2_TIME_COST="1",
)

# Restore SIGINT, because tests interrupt processes: a shell ignores it for background commands, and
# their child processes inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The environment comes first.
# ruff: noqa: E402
import asyncio
import io
import logging
import shutil
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import coverage
import pytest

# Assertions in the checks of all routes explain themselves, as those of tests do.
pytest.register_assert_rewrite("mscr.testing.route_checks")

from fastapi import FastAPI
from httpx2 import AsyncClient

from mscr.core.config import Settings
from mscr.db.session import Database
from mscr.project import Project
from mscr.services import health_service
from mscr.testing.api import Api
from mscr.testing.applications import client_from
from mscr.testing.databases import migrate, share_compiled
from mscr.testing.postgres import PostgresServer
from mscr.testing.route_checks.fixtures import (
    crawled,
    crawler,
    crawls,
    openapi,
    sender,
    served,
    statement_runs,
    statements,
)
from mscr.testing.statements import StatementCounter
from mscr.testing.valkey import ValkeyServer

__all__ = [
    "crawled",
    "crawler",
    "crawls",
    "openapi",
    "sender",
    "served",
    "statement_runs",
    "statements",
]

RECORD_OPTION = "--record-routes"
# Fixtures that send requests to every route, which takes longer than most modules.
CALLING_ALL_ROUTES = {"crawled", "statements"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        RECORD_OPTION,
        action="store_true",
        help="write the record of all routes instead of comparing it",
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the modules with checks of all routes first, and in each module the measured tests.

    These modules take longest: at the end, idle workers would wait for them. A test without
    coverage might build what a process builds only once (a statement, a cache), and those lines
    would sometimes be missing from the report.
    """
    long = {item.path for item in items if not CALLING_ALL_ROUTES.isdisjoint(_fixtures_of(item))}
    modules = sorted(dict.fromkeys(item.path for item in items), key=lambda path: path not in long)
    place = {module: index for index, module in enumerate(modules)}
    items.sort(key=lambda item: (place[item.path], _is_measured_on_postgresql(item)))


def _fixtures_of(item: pytest.Item) -> list[str]:
    return getattr(item, "fixturenames", [])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Measure coverage of a test for both databases on PostgreSQL only: coverage doubles its time.

    PostgreSQL has more code of its own than SQLite.
    """
    if coverage.Coverage.current() is None or not _is_measured_on_postgresql(item):
        return (yield)
    with pytest.MonkeyPatch.context() as environment:
        # Switch coverage off in processes that the test starts, too.
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
    # Tests of SQLite-only code are in tests/data, or they set `backend` to SQLite themselves.
    given = [str(marker.args[:1]) for marker in item.iter_markers("parametrize")]
    return not any("backend" in names for names in given) and "tests/data/" not in item.nodeid


def pytest_collection_finish() -> None:
    """Exempt everything loaded by now from garbage collection: it stays until the end."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    shutil.rmtree(SCRATCH, ignore_errors=True)


@pytest.fixture(scope="session")
def tested_project() -> Project:
    """Return the application under test. Override this in `tests/conftest.py`."""
    raise NotImplementedError("return your project from a fixture `tested_project` in conftest.py")


@pytest.fixture(scope="session")
def api_type() -> type[Api]:
    """Return the class of `api`. Override this with a subclass that names the administrators."""
    return Api


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="session")
def valkey() -> Iterator[ValkeyServer]:
    with ValkeyServer() as server:
        yield server


# Migrated, empty databases by the root of their project: suites of several applications may share
# a process. A session's fixture would keep the template of the first one.
@pytest.fixture(scope="session")
def sqlite_templates() -> dict[Path, Path]:
    return {}


@pytest.fixture(scope="session")
def postgres_templates(postgres: PostgresServer) -> Iterator[dict[Path, str]]:
    made: dict[Path, str] = {}
    yield made
    for name in made.values():
        asyncio.run(postgres.drop_database(name))


def _sqlite_template(project: Project, made: dict[Path, Path]) -> Path:
    if project.root not in made:
        path = SCRATCH / f"template{len(made)}.db"
        migrate(project, f"sqlite+aiosqlite:///{path}")
        made[project.root] = path
    return made[project.root]


def _postgres_template(
    project: Project, postgres: PostgresServer, made: dict[Path, str], worker_id: str
) -> str:
    if project.root not in made:
        name = f"template_{worker_id}_{secrets.token_hex(4)}"
        asyncio.run(postgres.create_database(name))
        made[project.root] = name
        migrate(project, postgres.url(name))
    return made[project.root]


@pytest.fixture(scope="session")
def sqlite_template(tested_project: Project, sqlite_templates: dict[Path, Path]) -> Path:
    """Return the template of the application whose suite uses this first."""
    return _sqlite_template(tested_project, sqlite_templates)


@pytest.fixture(scope="session")
def postgres_template(
    tested_project: Project,
    postgres: PostgresServer,
    postgres_templates: dict[Path, str],
    worker_id: str,
) -> str:
    """Return the template of the application whose suite uses this first."""
    return _postgres_template(tested_project, postgres, postgres_templates, worker_id)


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def template(
    backend: str, tested_project: Project, worker_id: str, request: pytest.FixtureRequest
) -> str:
    """Return the template that a test's database is copied from: a file path or a database name."""
    # Created on first use, so that a single test on SQLite does not wait for a PostgreSQL server.
    get = request.getfixturevalue
    if backend == "sqlite":
        return str(_sqlite_template(tested_project, get("sqlite_templates")))
    made = get("postgres_templates")
    return _postgres_template(tested_project, get("postgres"), made, worker_id)


@pytest.fixture
async def database_url(
    backend: str, template: str, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[str]:
    """Yield the URL of a migrated, empty database that only this test uses."""
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


@pytest.fixture
def empty_url(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """Yield the URL of an empty database. On SQLite, not even the file exists."""
    if backend == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path}/empty.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    name = f"empty_{secrets.token_hex(8)}"
    asyncio.run(server.create_database(name))
    yield server.url(name)
    asyncio.run(server.drop_database(name))


@pytest.fixture(scope="session")
def read_settings() -> dict[str, Settings]:
    """Cache settings by their differing values: reading them takes longer than many requests."""
    return {}


@pytest.fixture
def settings(
    tested_project: Project,
    database_url: str,
    request: pytest.FixtureRequest,
    read_settings: dict[str, Settings],
) -> Settings:
    """Return the settings of the environment above, overridden by `@pytest.mark.settings(...)`."""
    # The closest marker comes first in the iteration. Reversed, it is applied last and wins.
    markers = reversed(list(request.node.iter_markers("settings")))
    values = {name: value for marker in markers for name, value in marker.kwargs.items()}
    # Unknown names are ignored where settings are read: a misspelt one would test the default.
    if unknown := values.keys() - tested_project.settings.model_fields.keys():
        pytest.fail(f"@pytest.mark.settings: no such setting: {', '.join(sorted(unknown))}")
    backend = database_url.partition(":")[0]
    key = repr((tested_project.package, backend, sorted(values.items())))
    if key not in read_settings:
        read_settings[key] = tested_project.settings.from_env_file(
            None, DATABASE_URL=database_url, **values
        )
    return read_settings[key].model_copy(update={"DATABASE_URL": database_url}, deep=True)


@pytest.fixture(scope="session")
def built_apps() -> dict[str, FastAPI]:
    """Cache applications that no test has changed, by their settings."""
    return {}


@pytest.fixture
async def app(
    tested_project: Project,
    settings: Settings,
    built_apps: dict[str, FastAPI],
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[FastAPI]:
    """Yield an application with its own collaborators and database.

    Reuse the routes of an earlier test with the same settings: building them, with the first
    request, takes longer than the rest of most tests.
    """
    # The first check of the schema may take longer on a machine that is busy with other tests.
    monkeypatch.setattr(health_service, "READY_DEADLINE", timedelta(seconds=30))
    differing = settings.model_dump(exclude={"DATABASE_URL", "DATABASE_REPLICA_URL"})
    key = repr((tested_project.create_app, settings.is_sqlite, differing))
    application = built_apps.pop(key, None) or tested_project.create_app(settings)
    application.state.collaborators = type(application.state.collaborators).from_settings(settings)
    application.state.database = tested_project.create_database(settings)
    share_compiled(application.state.database)
    # The next request builds the middleware again: whatever a test adds would else have no effect.
    application.middleware_stack = None
    unchanged = _parts(application)
    async with application.router.lifespan_context(application):
        yield application
    if _parts(application) == unchanged:
        built_apps[key] = application


def _parts(application: FastAPI) -> tuple[Any, ...]:
    """Return what a test can add to an application."""
    return (
        [*application.routes],
        [*application.user_middleware],
        dict(application.exception_handlers),
        dict(application.dependency_overrides),
    )


@pytest.fixture
def database(app: FastAPI) -> Database:
    """Return the application's own engines and sessions, for inspecting what it has stored."""
    found: Database = app.state.database
    return found


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """Yield a client of the whole application with its middleware; errors come as responses."""
    async with client_from("127.0.0.1", app) as http:
        yield http


@pytest.fixture
def api(client: AsyncClient, app: FastAPI, database: Database, api_type: type[Api]) -> Api:
    """Return ready-made steps: register a user, make an administrator."""
    steps = api_type(client, database)
    steps.dialect = app.state.dialect
    return steps


@pytest.fixture
def queries(database: Database) -> StatementCounter:
    """Count statements: `with queries.at_most(2): await client.get(...)` fails if it takes more."""
    return StatementCounter(database)


@pytest.fixture
def log_output(app: FastAPI) -> io.StringIO:
    """Capture what the application's log handler would write to standard output."""
    output = io.StringIO()
    [handler] = [h for h in logging.getLogger().handlers if type(h) is logging.StreamHandler]
    handler.setStream(output)
    return output
