"""Errors: one shape for all there are, and nothing of what is inside or was sent."""

import io
import json
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient, Response
from sqlalchemy import text

from app.core.dependencies import DbSession
from tests.support import statuses
from tests.support.api import Account, Api
from tests.support.bodies import BodySender
from tests.support.databases import on_postgresql, on_sqlite
from tests.support.problems import MEMBERS, problem
from tests.support.routes import method_of, methods_at, path_for, random_id, routes_of
from tests.support.statuses import add_faulty_routes, answer_of_every_status

ITEMS = "/api/v1/items"
CANARY = "canary-4f1c9e"


@on_sqlite
@statuses.limited
async def test_every_error_has_the_one_shape(api: Api, app: FastAPI) -> None:
    """ER1."""
    answers = await answer_of_every_status(api, app)
    assert answers.keys() == statuses.STATUSES

    for status, response in answers.items():
        if status >= 400:
            body = problem(response, status, response.json()["code"])
            assert body.keys() - {"errors"} == MEMBERS
            assert body["type"] == f"urn:problem-type:{body['code']}"
            assert body["request_id"] == response.headers["x-request-id"]
            assert body["instance"] == f"urn:request:{body['request_id']}"


ODD_PATHS = [
    "/",
    "//",
    "/api",
    "/api/v1",
    "/api/v1/",
    "/api/v2/items",
    "/api/v1/items/",
    "/api/v1//items",
    "//api/v1/items",
    "/API/V1/ITEMS",
    "/api/v1/items/my/",
    f"/api/v1/items/{random_id()}/",
    "/api/v1/items/..%2fusers%2fme",
    "/api/v1/items/%2e%2e/users",
    "/health/",
    "/docs/",
    "/%00",
    "/%ff%fe",
    "/%",
    "/%zz",
    "/%ed%a0%80",
    "/" + "a" * 5000,
    "/docs-assets",
    "/docs-assets/",
    "/docs-assets/nothing.js",
    "/docs-assets/%00",
    "/docs-assets/%ff",
    "/docs-assets/..%2f..%2fmain.py",
    "/docs-assets/%2fetc%2fpasswd",
    "/docs-assets/" + "a" * 5000,
    "/.env",
    "/app.db",
]


@on_sqlite
async def test_a_path_that_is_not_there_is_404_in_the_one_shape(client: AsyncClient) -> None:
    """ER1."""
    for path in ODD_PATHS:
        problem(await client.get(path), 404, "not_found")


@on_sqlite
@pytest.mark.parametrize("name", ["%00", "%ff", "%", "%ed%a0%80", "%F0%9F%A5%9B", "a" * 5000])
async def test_junk_in_the_place_of_an_id_is_422(api: Api, name: str) -> None:
    """ER1."""
    user = await api.register()
    for path in (f"{ITEMS}/{name}", f"/api/v1/users/{name}"):
        response = await api.client.get(path, headers=user.headers)
        problem(response, 422, "validation_failed")


VERBS = {
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "QUERY",
    "JUNK",
}


@on_sqlite
async def test_another_verb_is_405_with_all_the_verbs_of_the_path(
    client: AsyncClient, app: FastAPI
) -> None:
    """IN5."""
    for route in routes_of(app):
        path = path_for(route, user=random_id(), item=random_id(), tag=random_id())
        allowed = methods_at(app, path)
        for verb in VERBS - allowed:
            response = await client.request(verb, path)
            if verb == "HEAD":
                assert (response.status_code, response.content) == (405, b"")
            else:
                problem(response, 405, "method_not_allowed")
            assert response.headers["allow"] == ", ".join(sorted(allowed)), f"{verb} {path}"


# Spelled out, so that the verbs are not only what the application says of itself.
ALLOWED = {
    ITEMS: "GET, HEAD, POST",
    # What is no id there is 422 and not 405, so its methods are allowed too.
    f"{ITEMS}/my": "DELETE, GET, HEAD, PATCH",
    "/api/v1/users/me": "DELETE, GET, HEAD, PATCH",
    "/api/v1/auth/logout": "POST",
    "/health/live": "GET, HEAD",
    "/docs": "GET, HEAD",
}


@on_sqlite
async def test_the_verbs_of_these_paths_are_told(client: AsyncClient) -> None:
    """IN5."""
    for path, allowed in ALLOWED.items():
        response = await client.put(path)
        assert (response.status_code, response.headers["allow"]) == (405, allowed)


@on_sqlite
async def test_the_verbs_of_a_path_are_told_behind_a_prefix_too(app: FastAPI) -> None:
    """IN5."""
    transport = ASGITransport(app=app, root_path="/base")
    async with AsyncClient(transport=transport, base_url="http://testserver") as client:
        for path, allowed in ((ITEMS, "GET, HEAD, POST"), ("/docs-assets/redoc.js", "GET, HEAD")):
            response = await client.put(f"/base{path}")
            assert response.headers["allow"] == allowed


@on_sqlite
async def test_a_failure_of_ours_tells_the_client_nothing(
    app: FastAPI, client: AsyncClient
) -> None:
    """ER1."""
    add_faulty_routes(app)
    body = problem(await client.get("/fails"), 500, "internal_error")
    assert body["title"] == "Internal server error"
    assert body["detail"] == "The server could not answer. The error has been logged."


@on_sqlite
async def test_a_failure_of_ours_is_in_the_log_with_its_trace(
    log_output: io.StringIO, app: FastAPI, client: AsyncClient
) -> None:
    """ER1."""
    add_faulty_routes(app)
    response = await client.get("/fails")
    log = log_output.getvalue()
    assert "RuntimeError: SELECT secret FROM vault" in log
    assert "statuses.py" in log
    assert response.headers["x-request-id"] in log


async def test_an_outage_tells_the_client_nothing_but_when_to_come_back(
    app: FastAPI, client: AsyncClient
) -> None:
    """ER1."""
    add_faulty_routes(app)
    response = await client.get("/away")
    body = problem(response, 503, "service_unavailable")
    assert body["detail"] == "The service cannot answer right now. Try again shortly."
    assert int(response.headers["retry-after"]) > 0


@on_postgresql
async def test_a_statement_that_the_database_refuses_is_in_the_log_and_not_in_the_answer(
    log_output: io.StringIO, app: FastAPI, client: AsyncClient
) -> None:
    """ER1."""

    @app.get("/mistaken")
    async def mistaken(db: DbSession) -> None:
        await db.execute(text("SELECT x FROM nowhere WHERE x = :secret"), {"secret": CANARY})

    body = problem(await client.get("/mistaken"), 500, "internal_error")

    log = log_output.getvalue()
    assert "nowhere" not in json.dumps(body)
    assert 'relation "nowhere" does not exist' in log
    assert "test_errors.py" in log
    assert CANARY not in log


def mistreated(value: Any) -> list[Any]:
    """The canary as a value of the same and of other kinds; none of them is acceptable."""
    strange: list[Any] = [[CANARY], {"a": CANARY}, [{"a": [CANARY]}], CANARY * 1000]
    if isinstance(value, list):
        strange[0] = [CANARY * 1000]
    if isinstance(value, dict):
        # Free JSON takes any object, but for what no response could hold.
        strange[1] = {"a": f"{CANARY}\0"}
    return strange if isinstance(value, str | None) else [*strange, CANARY]


async def test_no_refusal_repeats_a_value_of_the_body(
    log_output: io.StringIO, sender: BodySender
) -> None:
    """ER2, ER3: neither to the client nor in the log."""
    for route in sender.routes:
        whole = sender.body(route)
        for field in whole:
            for bad in mistreated(whole[field]):
                response = await sender.send(route, json.dumps({**whole, field: bad}))
                # Of many rows, each is refused by itself.
                rows = response.json()["data"]["rows"] if response.is_success else [response.json()]
                assert all(400 <= row["status"] < 500 for row in rows), (route, field)
                assert CANARY not in response.text + str(response.headers), (route, field)
    assert CANARY not in log_output.getvalue()


@pytest.mark.parametrize("shape", ["%s", '"%s"', '["%s"]', '{"title": "%s', '{"%s": 1', "{}%s"])
@on_sqlite
async def test_no_refusal_repeats_a_body_that_is_broken(
    log_output: io.StringIO, sender: BodySender, shape: str
) -> None:
    """ER2, ER3."""
    for route in sender.routes:
        for kind in ("application/json", "text/plain", "application/x-www-form-urlencoded"):
            response = await sender.send(route, shape % CANARY, kind)
            assert 400 <= response.status_code < 500, route
            assert CANARY not in response.text + str(response.headers), route
    assert CANARY not in log_output.getvalue()


async def test_no_refusal_repeats_the_fields_that_were_right(sender: BodySender) -> None:
    """ER2: the framework's own answer to a missing field has the whole body in it."""
    for route in sender.routes:
        whole = dict.fromkeys(sender.body(route), f"{CANARY}@example.com")
        for missing in whole:
            body = {field: value for field, value in whole.items() if field != missing}
            response = await sender.send(route, json.dumps({**body, "extra": CANARY}))
            assert response.status_code == 422
            assert CANARY not in response.text, (route, missing)


async def refusals_of_canaries(api: Api, route: str, admin: Account) -> list[Response]:
    """The answers to the canary in the path, the query and the headers."""
    path = path_for(route, user=CANARY, item=CANARY, tag=CANARY)
    names = ("page", "limit", "sort", "cursor", "status", "role", "is_active")
    requests: list[tuple[str, dict[str, Any]]] = [
        *((path, {"params": {"q": "a", name: CANARY}}) for name in names),
        (f"{path}/{CANARY}", {}),
        (path, {"headers": {"Authorization": f"Bearer {CANARY}"}}),
        (path, {"headers": admin.headers | {"Content-Type": CANARY}}),
    ]
    # An empty body, so that no call succeeds and ends the session.
    whole: dict[str, Any] = {"json": {}, "headers": admin.headers}
    method = method_of(route)
    return [await api.client.request(method, url, **{**whole, **sent}) for url, sent in requests]


@on_sqlite
async def test_no_refusal_repeats_the_path_the_query_or_a_header(api: Api, app: FastAPI) -> None:
    """ER2."""
    admin = await api.register_admin()
    for route in routes_of(app) - {"POST /api/v1/auth/logout-all"}:
        for response in await refusals_of_canaries(api, route, admin):
            assert response.status_code < 500
            assert CANARY not in response.text + str(response.headers), route
