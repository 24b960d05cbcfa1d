"""Routes that are found quickly are those that the framework finds."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, APIRouter, iter_route_contexts
from httpx2 import ASGITransport, AsyncClient

from app.core.routing import Route, Router
from tests.support.databases import on_sqlite

ID = "0191a2b3-c4d5-7e6f-8a9b-0c1d2e3f4a5b"
METHODS = ("GET", "POST", "PATCH", "DELETE", "OPTIONS")


def paths_of(app: FastAPI) -> Iterator[str]:
    """Every path, what is nearly one, and what is none."""
    for route in iter_route_contexts(app.routes):
        path = (route.path or "").replace("{public_id}", ID)
        yield from (path, f"{path}/", f"{path}x", f"/x{path}", path[:-1], path.upper())
    yield from ("/", "", "/api/v1", "/items", "/api/v1/itemsusers/me", "/api/v1/items/users/me")


async def found(app: FastAPI) -> dict[tuple[str, str], tuple[int, str | None]]:
    """How everything is answered, to nobody: by which route, its status tells enough."""
    transport = ASGITransport(app=app, raise_app_exceptions=False)
    answers: dict[tuple[str, str], tuple[int, str | None]] = {}
    async with AsyncClient(transport=transport, base_url="http://testserver") as client:
        for path in sorted(set(paths_of(app))):
            for method in METHODS:
                response = await client.request(method, path or "/")
                answers[method, path] = (response.status_code, response.headers.get("allow"))
    return answers


@on_sqlite
@pytest.mark.settings(RATE_LIMIT_ENABLED=False, LOG_LEVEL="CRITICAL")
async def test_what_is_asked_for_is_found_as_the_framework_finds_it(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    quickly = await found(app)
    asked: list[Any] = []

    def slowly(route: APIRoute, scope: Any) -> Any:
        asked.append(route)
        return APIRoute.matches(route, scope)

    monkeypatch.setattr(Route, "matches", slowly)
    monkeypatch.setattr(Router, "matches", APIRouter.matches)

    assert quickly == await found(app)
    assert asked
    assert {status for status, _ in quickly.values()} >= {200, 401, 404, 405}


@on_sqlite
async def test_a_line_break_at_the_end_of_a_path_makes_it_another_one(app: FastAPI) -> None:
    """To the framework's patterns it is none: so limits by path, in front, would not see it."""
    transport = ASGITransport(app=app)
    async with AsyncClient(transport=transport, base_url="http://testserver") as client:
        assert (await client.get("/.well-known/jwks.json")).status_code == 200
        assert (await client.get("/.well-known/jwks.json%0A")).status_code == 404


async def test_a_prefix_may_have_a_parameter() -> None:
    app, router = FastAPI(), Router(prefix="/teams/{team}/things")

    @router.get("/{thing}")
    async def show(team: str, thing: str) -> str:
        return f"{team} {thing}"

    app.include_router(router, prefix="/api")
    transport = ASGITransport(app=app)
    async with AsyncClient(transport=transport, base_url="http://testserver") as client:
        assert (await client.get("/api/teams/a/things/b")).json() == "a b"
        assert (await client.get("/api/teams/a/others/b")).status_code == 404
