"""Fuzzing: requests generated from the application's OpenAPI, and faults in its responses.

Each kind of caller sends examples, boundary cases of every schema, random requests, and chains in
which a request uses values from an earlier response.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import schemathesis
from fastapi import FastAPI
from schemathesis import AuthContext, Case, Config, HookContext, Response
from schemathesis.engine import events, from_schema
from schemathesis.python.asgi import get_client, shutdown_lifespans
from schemathesis.schemas import BaseSchema

from mscr.testing.api import Account
from mscr.testing.fuzzing.callers import FuzzedApplication, LoggedIn
from mscr.testing.fuzzing.inputs import know_refresh_token, register
from mscr.testing.routes import SAFE_METHODS, Caller

# On a path like /items/my, the methods of /items/{public_id} give 422 instead of 405, because `my`
# is no id. These checks expect 405, so skip them on such paths only.
ABOUT_METHODS: Final = ("unsupported_method", "allow_header_conformance")
# Bulk requests return 200 with a problem for each row that violates its schema. Faults of a request
# as a whole have their own tests.
ABOUT_BODIES: Final = ("negative_data_rejection",)
OF_MANY_ROWS: Final = r"/(bulk|bulk-delete)$"
# This check removes only API keys: a request without one still succeeds by its OAuth2 token.
ABOUT_KEYS: Final = ("ignored_auth",)
# Any string of sufficient length is a password, even one that the generator considers invalid.
OF_NO_FORMAT: Final = r"violates `format` at /properties/(new_)?password\b"
# Statuses of responses to valid requests. A made-up If-Match matches no ETag: 412.
ANSWERS: Final = ["2xx", "3xx", "401", "403", "404", "409", "412", "429", "5xx"]
# An object is absent for another account, so this check fails if the caller has been replaced.
OF_ONE_ACCOUNT: Final = "ensure_resource_availability"
# The token route returns 400 for a wrong password (RFC 6749 §5.2), other routes 401. No generated
# request has the token of a mail: its refusal is a 400, too.
OF_CREDENTIALS: Final = r"/auth/(token|reset-password|verify-email|confirm-registration)$"


# The path of a route and the name of a check, for each check to skip.
Skipped: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Effort:
    """The number of generated requests. `edges` adds many more, always the same boundary cases.

    `skipped` has the checks that do not apply to a route.
    """

    examples: int
    edges: bool
    seed: int | None = None
    skipped: Skipped = ()

    def config(self, paths: Mapping[str, Any]) -> dict[str, Any]:
        config: dict[str, Any] = {
            "continue-on-failure": True,
            "generation": {
                "max-examples": self.examples,
                "database": "none",
                "deterministic": self.seed is None,
                # The application refuses NUL, which a schema cannot express.
                "allow-x00": False,
            },
            "checks": {"positive_data_acceptance": {"expected-statuses": ANSWERS}},
            "phases": {"coverage": {"enabled": self.edges}},
            "operations": list(exceptions(paths, self.skipped)),
        }
        return config if self.seed is None else {**config, "seed": self.seed}


def exceptions(paths: Mapping[str, Any], skipped: Skipped) -> Iterator[dict[str, Any]]:
    """Yield the configuration of each path on which some checks are skipped or relaxed."""
    without_methods = set(shadowed(paths))
    for path, operations in paths.items():
        names = [name for skipped_path, name in skipped if skipped_path == path]
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
    """Yield the paths that the pattern of another path matches as well."""
    for path in paths:
        patterns = (re.sub(r"{\w+}", "[^/{}]+", other) for other in paths if other != path)
        if any(re.fullmatch(pattern, path) for pattern in patterns):
            yield path


@dataclass
class Outcome:
    """The outcome of a run. `statuses` counts the responses of each route by status.

    `askers` maps the id of a case to the account that sent its request. `own_statuses` counts the
    responses to these requests: checks also send some without a token, and with an invalid one.
    """

    askers: Mapping[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    statuses: dict[str, Counter[int]] = field(default_factory=dict)
    own_statuses: Counter[int] = field(default_factory=Counter)

    def read(self, event: events.ScenarioFinished) -> None:
        recorder = event.recorder
        routes = {case_id: node.value.operation.label for case_id, node in recorder.cases.items()}
        for case_id, interaction in recorder.interactions.items():
            if interaction.response is not None:
                counter = self.statuses.setdefault(routes[case_id], Counter())
                counter[interaction.response.status_code] += 1
                if case_id in self.askers:
                    self.own_statuses[interaction.response.status_code] += 1
        for case_id, checks in recorder.checks.items():
            for check in checks:
                info = check.failure_info
                parent = recorder.cases[case_id].parent_id
                if check.name == OF_ONE_ACCOUNT and not self._is_of_one_account(case_id, parent):
                    continue
                if info and not re.search(OF_NO_FORMAT, info.failure.message):
                    told = f"{routes[case_id]}, {check.name}: {info.failure.message}"
                    self.failures.append(f"{told}\n{info.code_sample}\n")

    def _is_of_one_account(self, case_id: str, parent_id: str | None) -> bool:
        return parent_id is None or self.askers.get(case_id) == self.askers.get(parent_id)


def fuzz(app: FastAPI, tested: FuzzedApplication, caller: Caller, effort: Effort) -> Outcome:
    """Warning: this blocks; call it in a thread. Run the application on its own event loop."""
    register()
    config = Config.from_dict(effort.config(app.openapi()["paths"]))
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, config=config)
    askers: dict[str, str] = {}
    try:
        if caller != "anonymous":
            # The framework's own message type differs from the ASGI type.
            application: Any = app
            with get_client(application) as client:
                _log_in(schema, LoggedIn(client, tested, caller), askers)
        return _collect(from_schema(schema).execute(), Outcome(askers))
    finally:
        shutdown_lifespans()


def _log_in(schema: BaseSchema, caller: LoggedIn, askers: dict[str, str]) -> None:
    @schema.auth(refresh_interval=None)
    class _Bearer:
        def get(self, case: Case[Any], context: AuthContext) -> Account:
            return caller.account

        def set(self, case: Case[Any], data: Account, context: AuthContext) -> None:
            case.headers.update(data.headers)
            askers[case.id] = data.public_id

    @schema.hook
    def after_call(context: HookContext, case: Case[Any], response: Response) -> None:
        # After refusals, too: the reuse of a refresh token ends a session and returns 401.
        if case.method not in SAFE_METHODS:
            caller.doubt()

    know_refresh_token(schema, caller)


def _collect(stream: Iterable[events.EngineEvent], outcome: Outcome) -> Outcome:
    for event in stream:
        if isinstance(event, events.ScenarioFinished):
            outcome.read(event)
        elif isinstance(event, events.NonFatalError):
            raise event.value
        elif isinstance(event, events.FatalError):
            raise event.exception
    return outcome
