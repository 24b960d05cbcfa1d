"""Fuzzing of the catalogue, and tests of the fuzzer itself."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest
from fastapi import FastAPI, Response

from examples.catalogue.core.config import Settings
from examples.catalogue.project import project
from examples.catalogue.routers import auth, users
from mscr.project import Project
from mscr.routers import sessions
from mscr.testing.api import Api
from mscr.testing.databases import on_sqlite
from mscr.testing.fuzzing.callers import FuzzedApplication
from mscr.testing.fuzzing.run import Effort, fuzz, shadowed
from mscr.testing.route_checks.fuzzing import FuzzChecks, effort, mostly_let_in
from mscr.tests.support import dialects
from mscr.tests.support.dialects import DIALECT


class TestFuzzing(FuzzChecks): ...


@pytest.fixture
def careless() -> FastAPI:
    """Return an application whose responses differ from its OpenAPI."""
    careless = FastAPI()

    @careless.get("/sized")
    async def answer_what_is_not_documented(size: int) -> Response:
        return Response(status_code=418)

    @careless.get("/crash")
    async def crash(size: int) -> Response:
        return Response(status_code=500 if size == 0 else 200)

    return careless


@on_sqlite
async def test_violations_of_the_schema_are_detected(
    careless: FastAPI, tested_project: Project, settings: Settings, api_type: type[Api]
) -> None:
    """Prove that the fuzzer finds faults."""
    tested = FuzzedApplication(tested_project, settings, api_type)

    outcome = await asyncio.to_thread(
        fuzz, careless, tested, "anonymous", Effort(examples=5, edges=True)
    )

    told = "\n".join(outcome.failures)
    assert "GET /sized, status_code_conformance: Received: 418" in told
    assert "GET /crash, not_a_server_error" in told


@on_sqlite
async def test_probes_without_the_token_do_not_count_as_logged_out(
    settings: Settings, api_type: type[Api]
) -> None:
    """Schemathesis sends them where the scheme of tokens is an API key, as in a dialect."""
    speaking = replace(project, create_app=dialects.create_app, dialect=lambda: DIALECT)
    app = dialects.with_routers(settings, sessions.router, users.router, *auth.routers(settings))
    tested = FuzzedApplication(speaking, settings, api_type)

    outcome = await asyncio.to_thread(fuzz, app, tested, "user", Effort(examples=1, edges=False))

    statuses = sum(outcome.statuses.values(), Counter[int]())
    assert outcome.failures == []
    assert statuses[401] > statuses.total() / 5
    assert mostly_let_in(outcome)


@on_sqlite
async def test_a_skipped_check_is_skipped_on_its_path_only(
    careless: FastAPI, tested_project: Project, settings: Settings, api_type: type[Api]
) -> None:
    tested = FuzzedApplication(tested_project, settings, api_type)
    skipped = (("/sized", "status_code_conformance"),)

    outcome = await asyncio.to_thread(
        fuzz, careless, tested, "anonymous", Effort(examples=5, edges=True, skipped=skipped)
    )

    told = "\n".join(outcome.failures)
    assert "GET /sized, status_code_conformance" not in told
    assert "GET /crash, status_code_conformance" in told


def test_paths_that_another_pattern_matches_are_found() -> None:
    paths = ["/items", "/items/my", "/items/{id}", "/items/{id}/restore", "/items/{other}"]
    assert list(shadowed(paths)) == ["/items/my"]


def test_make_fuzz_sends_more_requests_and_prints_how_to_repeat_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FUZZ_EXAMPLES", "500")
    monkeypatch.setenv("FUZZ_SEED", "7")

    assert effort(()) == Effort(examples=500, edges=True, seed=7)
    assert "make fuzz EXAMPLES=500 SEED=7" in capsys.readouterr().out


def test_without_a_seed_each_run_sends_other_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUZZ_EXAMPLES", "500")
    monkeypatch.setenv("FUZZ_SEED", "")

    assert effort(()).seed != effort(()).seed
