"""Error responses: problems (RFC 9457) of one shape, without internals or submitted values."""

import io
import json

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from sqlalchemy import text

from examples.catalogue.tests.api import Api
from mscr.endpoints.database import DbSession
from mscr.testing.databases import on_postgresql, on_sqlite
from mscr.testing.problems import MEMBERS, problem
from mscr.testing.route_checks.errors import CANARY
from mscr.testing.routes import random_id
from mscr.tests.support import statuses
from mscr.tests.support.statuses import add_faulty_routes, answer_of_every_status

ITEMS = "/api/v1/items"


@on_sqlite
@statuses.limited
async def test_every_error_is_a_problem_of_the_same_shape(api: Api, app: FastAPI) -> None:
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
async def test_an_unknown_path_is_a_404_problem(client: AsyncClient) -> None:
    """ER1."""
    for path in ODD_PATHS:
        problem(await client.get(path), 404, "not_found")


@on_sqlite
@pytest.mark.parametrize("name", ["%00", "%ff", "%", "%ed%a0%80", "%F0%9F%A5%9B", "a" * 5000])
async def test_junk_instead_of_an_id_is_422(api: Api, name: str) -> None:
    """ER1."""
    user = await api.register()
    for path in (f"{ITEMS}/{name}", f"/api/v1/users/{name}"):
        response = await api.client.get(path, headers=user.headers)
        problem(response, 422, "validation_failed")


# Spelled out, so that the application's own routing table is not the only evidence.
ALLOWED = {
    ITEMS: "GET, HEAD, POST",
    # "my" as an invalid id is 422 and not 405, so the methods of that route are allowed too.
    f"{ITEMS}/my": "DELETE, GET, HEAD, PATCH",
    "/api/v1/users/me": "DELETE, GET, HEAD, PATCH",
    "/api/v1/auth/logout": "POST",
    "/health/live": "GET, HEAD",
    "/docs": "GET, HEAD",
}


@on_sqlite
async def test_allow_lists_the_methods_of_these_paths(client: AsyncClient) -> None:
    """IN5."""
    for path, allowed in ALLOWED.items():
        response = await client.put(path)
        assert (response.status_code, response.headers["allow"]) == (405, allowed)


@on_sqlite
async def test_allow_lists_the_methods_of_a_path_behind_a_prefix(app: FastAPI) -> None:
    """IN5."""
    transport = ASGITransport(app=app, root_path="/base")
    async with AsyncClient(transport=transport, base_url="http://testserver") as client:
        for path, allowed in ((ITEMS, "GET, HEAD, POST"), ("/docs-assets/redoc.js", "GET, HEAD")):
            response = await client.put(f"/base{path}")
            assert response.headers["allow"] == allowed


@on_sqlite
async def test_a_server_error_reveals_nothing_to_the_client(
    app: FastAPI, client: AsyncClient
) -> None:
    """ER1."""
    add_faulty_routes(app)
    body = problem(await client.get("/fails"), 500, "internal_error")
    assert body["title"] == "Internal server error"
    assert body["detail"] == "The server failed to process the request. The error has been logged."


@on_sqlite
async def test_a_server_error_is_logged_with_its_traceback(
    log_output: io.StringIO, app: FastAPI, client: AsyncClient
) -> None:
    """ER1."""
    add_faulty_routes(app)
    response = await client.get("/fails")
    log = log_output.getvalue()
    assert "RuntimeError: SELECT secret FROM vault" in log
    assert "statuses.py" in log
    assert response.headers["x-request-id"] in log


async def test_an_outage_reveals_only_when_to_retry(app: FastAPI, client: AsyncClient) -> None:
    """ER1."""
    add_faulty_routes(app)
    response = await client.get("/away")
    body = problem(response, 503, "service_unavailable")
    assert body["detail"] == "The service is temporarily unavailable. Try again shortly."
    assert int(response.headers["retry-after"]) > 0


@on_postgresql
async def test_a_failing_statement_is_in_the_log_and_not_in_the_response(
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
