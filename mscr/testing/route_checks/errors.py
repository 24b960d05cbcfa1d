"""Checks that errors have one shape, and repeat nothing of the request."""

import io
import json
from typing import Any, Final

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response

from mscr.testing.api import Account, Api
from mscr.testing.bodies import BodySender
from mscr.testing.databases import on_sqlite
from mscr.testing.problems import problem, shown_problem
from mscr.testing.routes import ApiRoute, methods_at, random_id, routes_of

CANARY: Final = "canary-4f1c9e"
VERBS: Final = {
    *("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"),
    *("OPTIONS", "TRACE", "CONNECT", "QUERY", "JUNK"),
}


class ErrorChecks:
    """Errors of every route are problems without internals and without submitted values."""

    @on_sqlite
    async def test_an_unsupported_method_is_405_and_allow_lists_the_methods_of_the_path(
        self, client: AsyncClient, app: FastAPI
    ) -> None:
        """IN5."""
        for route in routes_of(app).values():
            path = route.path_with(random_id())
            allowed = methods_at(app, path)
            for verb in VERBS - allowed:
                response = await client.request(verb, path)
                if verb == "HEAD":
                    assert (response.status_code, response.content) == (405, b"")
                else:
                    problem(response, 405, "method_not_allowed")
                assert response.headers["allow"] == ", ".join(sorted(allowed)), f"{verb} {path}"

    async def test_no_refusal_echoes_a_value_of_the_body(
        self, log_output: io.StringIO, sender: BodySender
    ) -> None:
        """ER2, ER3: neither in the response nor in the log."""
        for route in sender.routes:
            whole = sender.body(route)
            for field in whole:
                for bad in mistreated(whole[field]):
                    body = {**whole, field: bad}
                    response = await sender.send_json(route, body)
                    if response.is_success and "rows" not in whole:
                        assert sender.fits(route, body), (route, field)
                        continue
                    # A bulk request reports a problem for each row.
                    is_bulk = response.is_success
                    rows = response.json()["data"]["rows"] if is_bulk else [shown_problem(response)]
                    assert all(400 <= row["status"] < 500 for row in rows), (route, field)
                    assert CANARY not in response.text + str(response.headers), (route, field)
        assert CANARY not in log_output.getvalue()

    @pytest.mark.parametrize("shape", ["%s", '"%s"', '["%s"]', '{"title": "%s', '{"%s": 1', "{}%s"])
    @on_sqlite
    async def test_no_refusal_echoes_a_malformed_body(
        self, log_output: io.StringIO, sender: BodySender, shape: str
    ) -> None:
        """ER2, ER3."""
        for route in sender.routes:
            for kind in ("application/json", "text/plain", "application/x-www-form-urlencoded"):
                response = await sender.send(route, shape % CANARY, kind)
                assert 400 <= response.status_code < 500, route
                assert CANARY not in response.text + str(response.headers), route
        assert CANARY not in log_output.getvalue()

    async def test_no_refusal_echoes_the_valid_fields(self, sender: BodySender) -> None:
        """ER2: the framework's default response to a missing field repeats the whole body."""
        for route in sender.routes:
            whole = dict.fromkeys(sender.body(route), f"{CANARY}@example.com")
            for missing in whole:
                body = {field: value for field, value in whole.items() if field != missing}
                response = await sender.send(route, json.dumps({**body, "extra": CANARY}))
                assert response.status_code == 422
                assert CANARY not in response.text, (route, missing)

    @on_sqlite
    async def test_no_refusal_echoes_the_path_the_query_or_a_header(
        self, api: Api, app: FastAPI
    ) -> None:
        """ER2."""
        admin = await api.register_admin()
        for route in routes_of(app).values():
            responses = await refusals_of_canaries(api, route, admin)
            for response in responses:
                assert response.status_code < 500
                assert CANARY not in response.text + str(response.headers), route.name
            if not route.is_safe and any(response.is_success for response in responses):
                admin = await api.register_admin()  # a logout, for example


def mistreated(value: Any) -> list[Any]:
    """Return values with the canary in them, of the same type and of others."""
    strange: list[Any] = [[CANARY], {"a": CANARY}, [{"a": [CANARY]}], CANARY * 1000]
    if isinstance(value, list):
        strange[0] = [CANARY * 1000]
    if isinstance(value, dict):
        # Free-form JSON takes any object without characters that no response could hold.
        strange[1] = {"a": f"{CANARY}\0"}
    return strange if isinstance(value, str | None) else [*strange, CANARY]


async def refusals_of_canaries(api: Api, route: ApiRoute, admin: Account) -> list[Response]:
    """Return the responses to the canary in the path, the query and the headers."""
    path = route.path_with(CANARY)
    names = ("page", "limit", "sort", "cursor", "status", "role", "is_active")
    requests: list[tuple[str, dict[str, Any]]] = [
        *((path, {"params": {"q": "a", name: CANARY}}) for name in names),
        (f"{path}/{CANARY}", {}),
        (path, {"headers": api.authorization(CANARY)}),
        (path, {"headers": admin.headers | {"Content-Type": CANARY}}),
    ]
    # Most routes refuse an empty body.
    whole: dict[str, Any] = {"json": {}, "headers": admin.headers}
    return [
        await api.client.request(route.method, url, **{**whole, **sent}) for url, sent in requests
    ]
