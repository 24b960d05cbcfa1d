"""`HTTPException`, which the framework and its extensions raise, in the one shape of errors."""

import pytest
from fastapi import FastAPI, HTTPException
from httpx2 import AsyncClient
from structlog.testing import capture_logs

from tests.support.databases import on_sqlite
from tests.support.problems import problem

pytestmark = on_sqlite


@pytest.mark.parametrize(
    ("status", "code", "title"),
    [
        (403, "forbidden", "Not allowed"),
        (409, "conflict", "Conflict"),
        (415, "unsupported_media_type", "Unsupported Media Type"),
        (418, "im_a_teapot", "I'm a Teapot"),
        (503, "service_unavailable", "Service Unavailable"),
    ],
)
async def test_it_keeps_its_status_and_its_headers(
    app: FastAPI, client: AsyncClient, status: int, code: str, title: str
) -> None:
    """ER1: those that we have a class for, and those that we have none for."""

    @app.get("/raises")
    async def raise_it() -> None:
        raise HTTPException(status, "canary", headers={"X-Reason": "canary"})

    response = await client.get("/raises")

    body = problem(response, status, code)
    assert body["title"] == title
    assert "canary" not in response.text
    assert response.headers["x-reason"] == "canary"


async def test_a_failure_that_it_tells_of_is_logged(app: FastAPI, client: AsyncClient) -> None:
    @app.get("/raises")
    async def raise_it() -> None:
        raise HTTPException(500)

    with capture_logs() as events:
        problem(await client.get("/raises"), 500, "internal_server_error")

    assert "http_exception" in [event["event"] for event in events]
