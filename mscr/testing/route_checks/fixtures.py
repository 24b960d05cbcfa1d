"""Fixtures of the checks of all routes: OpenAPI, responses, and counts of statements."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, NamedTuple

import pytest
from fastapi import FastAPI

from mscr.core.config import Settings
from mscr.core.settings_fields import RefreshTokenTransport
from mscr.jobs.mails import SEND_MAIL, MailData
from mscr.jobs.outbox import Outbox
from mscr.models.base import ModelBase
from mscr.project import Project
from mscr.repositories.job_repository import JobRepository
from mscr.testing.api import Api
from mscr.testing.bodies import BodySender
from mscr.testing.cookies import OWN_ORIGIN
from mscr.testing.crawl import Answer, crawl
from mscr.testing.integer_keys import IntegerKeys
from mscr.testing.json_schema import Schema
from mscr.testing.routes import routes_of
from mscr.testing.statement_runs import StatementRun, statements_of_routes
from mscr.testing.statements import StatementCounter

# For tests that send requests to every route: their time grows with the number of routes.
OF_ALL_ROUTES: Final = pytest.mark.timeout(600)


class Crawled(NamedTuple):
    """The responses of all routes, and the integer keys that none of them may contain."""

    answers: list[Answer]
    keys: IntegerKeys

    def leaks(self) -> dict[str, str]:
        """Return a response of each route whose responses contain a key."""
        return {a.route: a.response.text for a in self.answers if self.keys.found_in(a.response)}

    def documented(self, app: FastAPI) -> list[Answer]:
        """Return the responses of the routes in OpenAPI."""
        documented = {route.name for route in routes_of(app).values() if route.operation}
        return [answer for answer in self.answers if answer.route in documented]


Crawler = Callable[[IntegerKeys], Awaitable[Crawled]]


@pytest.fixture(scope="module", params=RefreshTokenTransport)
def openapi(request: pytest.FixtureRequest, tested_project: Project) -> Schema:
    """Return the OpenAPI document for each transport, without a database."""
    settings = tested_project.settings.from_env_file(None, REFRESH_TOKEN_TRANSPORT=request.param)
    return tested_project.create_app(settings).openapi()


@pytest.fixture
def served(app: FastAPI) -> Schema:
    """Return the OpenAPI document of the application that the client calls."""
    return app.openapi()


@pytest.fixture
async def sender(api: Api, app: FastAPI) -> BodySender:
    """Send bodies to every route that reads one."""
    return await BodySender.create(api, app)


@pytest.fixture(scope="module")
def crawls() -> dict[str, Crawled]:
    return {}


@pytest.fixture
def crawler(api: Api, app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> Crawler:
    """Return a function that collects the responses of all routes, with rows of the given keys."""

    async def collect(keys: IntegerKeys) -> Crawled:
        api.client.headers["Origin"] = OWN_ORIGIN
        await _keep_jobs(app, monkeypatch)
        with keys.installed():
            return Crawled(await crawl(api, app), keys)

    return collect


@pytest.fixture
async def crawled(
    app: FastAPI,
    settings: Settings,
    backend: str,
    crawls: dict[str, Crawled],
    crawler: Crawler,
) -> Crawled:
    """Return the responses of all routes, collected by the module's first test on this database.

    The tests with the same settings share them: this takes longer than most tests.
    """
    key = f"{backend}, tokens in {settings.REFRESH_TOKEN_TRANSPORT}"
    if key not in crawls:
        crawls[key] = await crawler(IntegerKeys(ModelBase, app.state.dialect.integer_ids))
    return crawls[key]


@pytest.fixture(scope="module")
def statement_runs() -> dict[str, StatementRun]:
    return {}


@pytest.fixture
async def statements(
    api: Api,
    app: FastAPI,
    queries: StatementCounter,
    backend: str,
    statement_runs: dict[str, StatementRun],
    monkeypatch: pytest.MonkeyPatch,
) -> StatementRun:
    """Return the number of statements of each route, with few rows in each list and with more."""
    if backend not in statement_runs:
        await _keep_jobs(app, monkeypatch)
        statement_runs[backend] = await statements_of_routes(api, app, queries)
    return statement_runs[backend]


async def _keep_jobs(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let jobs wait, and add one: the list of jobs must not depend on which of them have run."""
    monkeypatch.setattr(app.state.jobs, "wake", lambda: None)
    database = app.state.database
    async with database.sessions() as session:
        repo = JobRepository(session, database.tables)
        outbox = Outbox(repo, app.state.collaborators.encryption)
        mail = MailData(recipient="ada@example.com", subject="Waits", text="It waits.")
        await outbox.add(SEND_MAIL, mail, delay=timedelta(days=1))
        await session.commit()
