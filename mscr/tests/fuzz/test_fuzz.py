"""Fuzzing: every response to a valid or slightly invalid request is as documented.

`make test-kit` sends a few requests, always the same; `make fuzz` sends many, different each time.
"""

import asyncio
import os
import secrets
from collections import Counter

import pytest
from fastapi import FastAPI, Response

from mscr.core.config import Settings
from mscr.project import Project
from mscr.testing.api import Api
from mscr.testing.databases import on_postgresql, on_sqlite
from mscr.testing.fuzzing.callers import FuzzedApplication
from mscr.testing.fuzzing.run import Effort, Outcome, fuzz, shadowed
from mscr.testing.openapi import operations
from mscr.testing.routes import CALLERS, Caller


def effort() -> Effort:
    """Return the effort of `make fuzz` if the environment sets it, else that of `make test-kit`."""
    if examples := int(os.environ.get("FUZZ_EXAMPLES", "0")):
        seed = int(os.environ["FUZZ_SEED"] or secrets.randbelow(2**32))
        print(f"\nThese requests once more: make fuzz EXAMPLES={examples} SEED={seed}")  # noqa: T201 - to the console
        return Effort(examples, edges=True, seed=seed)
    return Effort(examples=5, edges=False)


@on_postgresql
@pytest.mark.settings(LOG_LEVEL="CRITICAL")
@pytest.mark.parametrize("caller", CALLERS)
async def test_every_response_to_a_generated_request_is_as_documented(
    tested_project: Project, settings: Settings, api_type: type[Api], caller: Caller
) -> None:
    app = tested_project.create_app(settings)
    tested = FuzzedApplication(tested_project, settings, api_type)
    outcome = await asyncio.to_thread(fuzz, app, tested, caller, effort())

    assert outcome.failures == [], "\n".join(outcome.failures)
    assert outcome.statuses.keys() == {route for route, _ in operations(app.openapi())}
    if caller != "anonymous":
        assert mostly_let_in(outcome)
        assert outcome.statuses["DELETE /api/v1/users/me"][204] > 0


def mostly_let_in(outcome: Outcome) -> bool:
    """Return whether the caller was logged in, apart from probes without a valid token."""
    answers = sum(outcome.statuses.values(), Counter[int]())
    return answers[401] < answers.total() / 5


@on_sqlite
async def test_violations_of_the_schema_are_detected(
    tested_project: Project, settings: Settings, api_type: type[Api]
) -> None:
    """Prove that the fuzzer finds faults."""
    careless = FastAPI()

    @careless.get("/sized")
    async def answer_what_is_not_documented(size: int) -> Response:
        return Response(status_code=418)

    @careless.get("/crash")
    async def crash(size: int) -> Response:
        return Response(status_code=500 if size == 0 else 200)

    effort = Effort(examples=5, edges=True)
    tested = FuzzedApplication(tested_project, settings, api_type)
    outcome = await asyncio.to_thread(fuzz, careless, tested, "anonymous", effort)

    told = "\n".join(outcome.failures)
    assert "GET /sized, status_code_conformance: Received: 418" in told
    assert "GET /crash, not_a_server_error" in told


def test_paths_that_another_pattern_matches_are_found() -> None:
    paths = ["/items", "/items/my", "/items/{id}", "/items/{id}/restore", "/items/{other}"]
    assert list(shadowed(paths)) == ["/items/my"]
