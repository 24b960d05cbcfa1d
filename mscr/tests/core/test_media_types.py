"""A body of another media type than the route accepts is 415."""

from typing import Annotated, Any

import pytest
from fastapi import Body, FastAPI, File, Form, UploadFile
from httpx2 import AsyncClient

from mscr.testing.databases import on_sqlite
from mscr.testing.problems import problem

FORM = "application/x-www-form-urlencoded"
SENT: dict[str, dict[str, Any]] = {
    "application/json": {"json": {"a": "x", "b": "y"}},
    "text/plain": {"content": "a=x&b=y", "headers": {"Content-Type": "text/plain"}},
    FORM: {"data": {"a": "x", "b": "y"}},
    "multipart/form-data": {"data": {"a": "x", "b": "y"}, "files": {"file": b"x"}},
}


@pytest.fixture
async def routes(app: FastAPI, client: AsyncClient) -> AsyncClient:
    @app.post("/json")
    async def json(a: Annotated[str, Body()], b: Annotated[str, Body()]) -> str:
        return a + b

    @app.post("/form")
    async def form(a: Annotated[str, Form()]) -> str:
        return a

    @app.post("/upload")
    async def upload(file: Annotated[UploadFile, File()]) -> str:
        return str(file.size)

    return client


@on_sqlite
@pytest.mark.parametrize(
    ("path", "taken"),
    [
        ("/json", {"application/json"}),
        ("/form", {FORM, "multipart/form-data"}),
        ("/upload", {"multipart/form-data"}),
    ],
)
async def test_another_media_type_is_refused_by_name(
    routes: AsyncClient, path: str, taken: set[str]
) -> None:
    for media_type, request in SENT.items():
        response = await routes.post(path, **request)
        if media_type in taken:
            assert response.status_code == 200, (media_type, response.text)
        else:
            detail = problem(response, 415, "unsupported_media_type")["detail"]
            assert any(name in detail for name in taken)


@on_sqlite
async def test_a_missing_field_of_the_right_type_is_422(routes: AsyncClient) -> None:
    requests: dict[str, dict[str, Any]] = {
        "/json": {"json": {"a": "x"}},
        "/form": {"data": {"b": "x"}},
        "/upload": {"files": {"other": b"x"}},
    }
    for path, request in requests.items():
        problem(await routes.post(path, **request), 422, "validation_failed")
