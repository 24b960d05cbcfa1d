"""Checks of all routes with requests that are generated from OpenAPI, not written by hand."""

import asyncio
import os
import secrets
from typing import ClassVar, Final

import pytest

from mscr.core.config import Settings
from mscr.project import Project
from mscr.testing.api import Api
from mscr.testing.databases import on_postgresql
from mscr.testing.fuzzing.callers import FuzzedApplication
from mscr.testing.fuzzing.run import Effort, Outcome, Skipped, fuzz
from mscr.testing.openapi import operations
from mscr.testing.routes import CALLERS, Caller

REMEDY: Final = (
    "If a rule that no schema can express refuses a valid request (positive_data_acceptance), list "
    "the path and the check in `skipped` of tests/fuzz/test_fuzz.py: docs/openapi.md"
)


class FuzzChecks:
    """Every response to a valid or slightly invalid request is as documented.

    `make fuzz` sends many requests, different each time. Without its variables, a few are sent,
    always the same.
    """

    skipped: ClassVar[Skipped] = ()
    """The path of a route and the name of a check of Schemathesis that does not apply to it."""

    @on_postgresql
    @pytest.mark.settings(LOG_LEVEL="CRITICAL")
    @pytest.mark.parametrize("caller", CALLERS)
    async def test_every_response_to_a_generated_request_is_as_documented(
        self, tested_project: Project, settings: Settings, api_type: type[Api], caller: Caller
    ) -> None:
        app = tested_project.create_app(settings)
        tested = FuzzedApplication(tested_project, settings, api_type)
        outcome = await asyncio.to_thread(fuzz, app, tested, caller, effort(self.skipped))

        assert outcome.failures == [], "\n".join([*outcome.failures, REMEDY])
        assert outcome.statuses.keys() == {route for route, _ in operations(app.openapi())}
        if caller != "anonymous":
            assert mostly_let_in(outcome)
            leaving = outcome.statuses.get(f"DELETE {api_type.me_path}")
            assert leaving is None or leaving[204] > 0


def effort(skipped: Skipped) -> Effort:
    """Return the effort of `make fuzz` if the environment sets it, else a small one."""
    if examples := int(os.environ.get("FUZZ_EXAMPLES", "0")):
        seed = int(os.environ["FUZZ_SEED"] or secrets.randbelow(2**32))
        print(f"\nThese requests once more: make fuzz EXAMPLES={examples} SEED={seed}")  # noqa: T201 - to the console
        return Effort(examples, edges=True, seed=seed, skipped=skipped)
    return Effort(examples=5, edges=False, skipped=skipped)


def mostly_let_in(outcome: Outcome) -> bool:
    """Return whether the caller was logged in. A refused password is a 401, too."""
    answers = outcome.own_statuses
    return answers[401] < answers.total() / 5
