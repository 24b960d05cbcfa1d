"""Requests made up from the application's own OpenAPI document, and what is wrong with the answers.

Each kind of caller makes them: examples, the edges of every schema, random ones, and chains in
which a request takes up what an earlier one was answered.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import schemathesis
from fastapi import FastAPI
from schemathesis import AuthContext, Case, Config, HookContext, Response
from schemathesis.engine import events, from_schema
from schemathesis.python.asgi import get_client, shutdown_lifespans
from schemathesis.schemas import BaseSchema

from app.core.config import Settings
from tests.fuzz.callers import LoggedIn
from tests.fuzz.inputs import know_refresh_token, register
from tests.support.api import Account
from tests.support.routes import SAFE_METHODS, Caller

# Of a path like /items/my, the methods of /items/{public_id} are not refused with 405, but with
# 422: `my` is no id. So these checks, which want the former, are left out there, and only there.
ABOUT_METHODS: Final = ("unsupported_method", "allow_header_conformance")
# Of many rows each is refused by itself, in an answer that is 200: what a row's schema does not
# allow is told there. What is wrong with a request as a whole has tests of its own.
ABOUT_BODIES: Final = ("negative_data_rejection",)
OF_MANY_ROWS: Final = r"/(bulk|bulk-delete)$"
# To this check, an OAuth2 token is none: a request with one gets in without the API key beside it.
ABOUT_KEYS: Final = ("ignored_auth",)
# Any text that is long enough is a password, be it one that the generator takes for none.
OF_NO_FORMAT: Final = r"violates `format` at /properties/(new_)?password\b"
# What is answered to requests that are as documented. A made-up If-Match is nobody's ETag: 412.
ANSWERS: Final = ["2xx", "3xx", "401", "403", "404", "409", "412", "429", "5xx"]
# RFC 6749 §5.2 has 400 for a wrong password, where other routes have 401.
OF_CREDENTIALS: Final = r"/auth/token$"


@dataclass(frozen=True)
class Effort:
    """How many requests are made up. `edges` are many more, and always the same."""

    examples: int
    edges: bool
    seed: int | None = None

    def config(self, paths: Mapping[str, Any]) -> dict[str, Any]:
        config: dict[str, Any] = {
            "continue-on-failure": True,
            "generation": {
                "max-examples": self.examples,
                "database": "none",
                "deterministic": self.seed is None,
                # The application takes no NUL, which a schema has no words for.
                "allow-x00": False,
            },
            "checks": {"positive_data_acceptance": {"expected-statuses": ANSWERS}},
            "phases": {"coverage": {"enabled": self.edges}},
            "operations": list(exceptions(paths)),
        }
        return config if self.seed is None else {**config, "seed": self.seed}


def exceptions(paths: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """For each path that some checks are left out for: which."""
    without_methods = set(shadowed(paths))
    for path, operations in paths.items():
        names: list[str] = []
        names += ABOUT_METHODS if path in without_methods else ()
        names += ABOUT_BODIES if re.search(OF_MANY_ROWS, path) else ()
        ways_in = (operation.get("security", ()) for operation in operations.values())
        names += ABOUT_KEYS if any(len(ways) > 1 for ways in ways_in) else ()
        checks: dict[str, Any] = {name: {"enabled": False} for name in names}
        if re.search(OF_CREDENTIALS, path):
            checks["positive_data_acceptance"] = {"expected-statuses": [*ANSWERS, "400"]}
        if checks:
            yield {"include-path": path, "checks": checks}


def shadowed(paths: Iterable[str]) -> Iterator[str]:
    """The paths that the pattern of another one fits as well."""
    for path in paths:
        patterns = (re.sub(r"{\w+}", "[^/{}]+", other) for other in paths if other != path)
        if any(re.fullmatch(pattern, path) for pattern in patterns):
            yield path


@dataclass
class Outcome:
    """What came of it. `statuses`: how often each route answered with each status."""

    failures: list[str] = field(default_factory=list)
    statuses: dict[str, Counter[int]] = field(default_factory=dict)

    def read(self, event: events.ScenarioFinished) -> None:
        recorder = event.recorder
        routes = {case_id: node.value.operation.label for case_id, node in recorder.cases.items()}
        for case_id, interaction in recorder.interactions.items():
            if interaction.response is not None:
                counter = self.statuses.setdefault(routes[case_id], Counter())
                counter[interaction.response.status_code] += 1
        for case_id, checks in recorder.checks.items():
            for check in checks:
                info = check.failure_info
                if info and not re.search(OF_NO_FORMAT, info.failure.message):
                    told = f"{routes[case_id]}, {check.name}: {info.failure.message}"
                    self.failures.append(f"{told}\n{info.code_sample}\n")


def fuzz(app: FastAPI, settings: Settings, caller: Caller, effort: Effort) -> Outcome:
    """Blocks, and runs the application on a loop of its own: not for a coroutine to call."""
    register()
    config = Config.from_dict(effort.config(app.openapi()["paths"]))
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, config=config)
    try:
        if caller != "anonymous":
            # It has the framework's own idea of what a message is.
            application: Any = app
            with get_client(application) as client:
                _log_in(schema, LoggedIn(client, settings, caller))
        return _collect(from_schema(schema).execute())
    finally:
        shutdown_lifespans()


def _log_in(schema: BaseSchema, caller: LoggedIn) -> None:
    @schema.auth(refresh_interval=None)
    class _Bearer:
        def get(self, case: Case[Any], context: AuthContext) -> Account:
            return caller.account

        def set(self, case: Case[Any], data: Account, context: AuthContext) -> None:
            case.headers.update(data.headers)

    @schema.hook
    def after_call(context: HookContext, case: Case[Any], response: Response) -> None:
        # Refusals too: the reuse of a refresh token ends a session with 401.
        if case.method not in SAFE_METHODS:
            caller.doubt()

    know_refresh_token(schema, caller)


def _collect(stream: Iterable[events.EngineEvent]) -> Outcome:
    outcome = Outcome()
    for event in stream:
        if isinstance(event, events.ScenarioFinished):
            outcome.read(event)
        elif isinstance(event, events.NonFatalError):
            raise event.value
        elif isinstance(event, events.FatalError):
            raise event.exception
    return outcome
