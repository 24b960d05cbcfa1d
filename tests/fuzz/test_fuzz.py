"""Nothing that fits the schema, or just does not, gets an answer that the schema does not know.

A few requests with `make test`, always the same; many with `make fuzz`, others each time.
"""

import asyncio
import os
import secrets
from collections import Counter

import pytest
from fastapi import FastAPI, Response

from app.core.config import Settings
from app.main import create_app
from tests.api.test_openapi import operations
from tests.fuzz.run import Effort, Outcome, fuzz, shadowed
from tests.support.databases import on_postgresql, on_sqlite
from tests.support.routes import CALLERS, Caller


def effort() -> Effort:
    """That of `make fuzz`, where the environment says so."""
    if examples := int(os.environ.get("FUZZ_EXAMPLES", "0")):
        seed = int(os.environ["FUZZ_SEED"] or secrets.randbelow(2**32))
        print(f"\nThese requests once more: make fuzz EXAMPLES={examples} SEED={seed}")  # noqa: T201 - to whoever runs it
        return Effort(examples, edges=True, seed=seed)
    return Effort(examples=5, edges=False)


@on_postgresql
@pytest.mark.settings(LOG_LEVEL="CRITICAL")
@pytest.mark.parametrize("caller", CALLERS)
async def test_every_answer_to_what_is_made_up_is_as_documented(
    settings: Settings, caller: Caller
) -> None:
    app = create_app(settings)
    outcome = await asyncio.to_thread(fuzz, app, settings, caller, effort())

    assert outcome.failures == [], "\n".join(outcome.failures)
    assert outcome.statuses.keys() == {route for route, _ in operations(app.openapi())}
    if caller != "anonymous":
        assert mostly_let_in(outcome)
        assert outcome.statuses["DELETE /api/v1/users/me"][204] > 0


def mostly_let_in(outcome: Outcome) -> bool:
    """Whether the caller was logged in; but for probes without a token, and with a bad one."""
    answers = sum(outcome.statuses.values(), Counter[int]())
    return answers[401] < answers.total() / 5


@on_sqlite
async def test_a_schema_that_is_not_kept_to_is_found_out(settings: Settings) -> None:
    """Otherwise the silence above would prove nothing."""
    careless = FastAPI()

    @careless.get("/sized")
    async def answer_what_is_not_documented(size: int) -> Response:
        return Response(status_code=418)

    @careless.get("/crash")
    async def crash(size: int) -> Response:
        return Response(status_code=500 if size == 0 else 200)

    effort = Effort(examples=5, edges=True)
    outcome = await asyncio.to_thread(fuzz, careless, settings, "anonymous", effort)

    told = "\n".join(outcome.failures)
    assert "GET /sized, status_code_conformance: Received: 418" in told
    assert "GET /crash, not_a_server_error" in told


def test_a_path_that_the_pattern_of_another_fits_is_known() -> None:
    paths = ["/items", "/items/my", "/items/{id}", "/items/{id}/restore", "/items/{other}"]
    assert list(shadowed(paths)) == ["/items/my"]
