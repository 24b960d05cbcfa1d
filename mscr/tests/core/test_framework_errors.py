"""`HTTPException`, raised by the framework and its extensions, gets the project's error shape."""

import pytest
from fastapi import FastAPI, HTTPException
from httpx2 import AsyncClient, Response
from structlog.testing import capture_logs

from mscr.testing.databases import on_sqlite
from mscr.testing.problems import problem

pytestmark = on_sqlite


@pytest.mark.parametrize(
    ("status", "code", "title"),
    [
        (303, "see_other", "See Other"),
        (400, "bad_request", "Bad request"),
        (401, "unauthorized", "Not authenticated"),
        (403, "forbidden", "Not allowed"),
        (409, "conflict", "Conflict"),
        (415, "unsupported_media_type", "Unsupported Media Type"),
        (418, "im_a_teapot", "I'm a Teapot"),
        (419, "http_419", "HTTP 419"),
        (499, "http_499", "HTTP 499"),
    ],
)
async def test_an_http_exception_keeps_its_status_detail_and_headers(
    app: FastAPI, client: AsyncClient, status: int, code: str, title: str
) -> None:
    """ER1: a status with an error class, a registered one without, and an unregistered one."""
    response = await raising(
        app, client, HTTPException(status, "The vote is over.", headers={"X-Reason": "late"})
    )

    body = problem(response, status, code)
    assert body["title"] == title
    assert body["detail"] == "The vote is over."
    assert response.headers["x-reason"] == "late"


@pytest.mark.parametrize(
    ("status", "name", "value"),
    [(401, "www-authenticate", 'Basic realm="x"'), (503, "retry-after", "7")],
)
async def test_headers_of_an_http_exception_replace_defaults_case_insensitively(
    app: FastAPI, client: AsyncClient, status: int, name: str, value: str
) -> None:
    response = await raising(app, client, HTTPException(status, headers={name: value}))

    assert response.headers.get_list(name) == [value]


async def test_content_headers_of_an_http_exception_are_ignored(
    app: FastAPI, client: AsyncClient
) -> None:
    headers = {"content-type": "text/plain", "Content-Length": "3", "allow": "GET"}
    response = await raising(app, client, HTTPException(405, "x", headers=headers))

    assert problem(response, 405, "method_not_allowed")["detail"] == "x"
    assert response.headers["content-length"] == str(len(response.content))
    assert response.headers.get_list("allow") == ["GET, HEAD"]


@pytest.mark.parametrize(
    ("status", "code"),
    [(500, "internal_server_error"), (503, "service_unavailable"), (520, "http_520")],
)
async def test_the_detail_of_a_5xx_is_logged_and_not_sent(
    app: FastAPI, client: AsyncClient, status: int, code: str
) -> None:
    with capture_logs() as events:
        response = await raising(app, client, HTTPException(status, "canary"))

    problem(response, status, code)
    assert "canary" not in response.text
    assert [str(event["exc_info"]) for event in events if event["event"] == "http_exception"]


@pytest.mark.parametrize("status", [0, 199, 600, 999, -1])
async def test_an_invalid_status_is_a_server_fault(
    app: FastAPI, client: AsyncClient, status: int
) -> None:
    problem(await raising(app, client, HTTPException(status, "canary")), 500, "internal_error")


@pytest.mark.parametrize("status", [204, 205, 304])
async def test_a_response_of_a_status_without_content_is_empty(
    app: FastAPI, client: AsyncClient, status: int
) -> None:
    response = await raising(app, client, HTTPException(status, headers={"ETag": '"1"'}))

    assert (response.status_code, response.content) == (status, b"")
    assert response.headers["etag"] == '"1"'


@pytest.mark.parametrize(
    ("detail", "shown"),
    [
        (None, "The request could not be understood."),
        ("Bad Request", "The request could not be understood."),
        ({"reason": ["late"]}, '{"reason": ["late"]}'),
        (object(), "The request could not be understood."),
        ("half of a pair: \ud800", "half of a pair: \ud800"),
    ],
    ids=["default", "phrase", "JSON", "no JSON", "lone surrogate"],
)
async def test_any_detail_gives_a_problem_response(
    app: FastAPI, client: AsyncClient, detail: object, shown: str
) -> None:
    body = problem(await raising(app, client, HTTPException(400, detail)), 400, "bad_request")

    assert body["detail"] == shown


async def raising(app: FastAPI, client: AsyncClient, error: HTTPException) -> Response:
    @app.get("/raises")
    async def raise_it() -> None:
        raise error

    return await client.get("/raises")


async def test_a_server_error_without_detail_is_logged(app: FastAPI, client: AsyncClient) -> None:
    with capture_logs() as events:
        problem(await raising(app, client, HTTPException(500)), 500, "internal_server_error")

    assert "http_exception" in [event["event"] for event in events]
