"""The fast route lookup finds the same routes as the framework's."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, APIRouter, iter_route_contexts
from httpx2 import ASGITransport, AsyncClient

from mscr.http.routing import Route, Router
from mscr.testing.databases import on_sqlite

ID = "0191a2b3-c4d5-7e6f-8a9b-0c1d2e3f4a5b"
METHODS = ("GET", "POST", "PATCH", "DELETE", "OPTIONS")


def paths_of(app: FastAPI) -> Iterator[str]:
    """Yield every path, near misses of each, and paths that do not exist."""
    for route in iter_route_contexts(app.routes):
        path = (route.path or "").replace("{public_id}", ID)
        yield from (path, f"{path}/", f"{path}x", f"/x{path}", path[:-1], path.upper())
    yield from ("/", "", "/api/v1", "/items", "/api/v1/itemsusers/me", "/api/v1/items/users/me")


async def found(app: FastAPI) -> dict[tuple[str, str], tuple[int, str | None]]:
    """Return the response of each method and path to an anonymous client: status and `Allow`."""
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
async def test_requests_are_routed_as_by_the_framework(
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
async def test_a_path_with_a_trailing_line_break_is_not_found(app: FastAPI) -> None:
    """The framework's patterns match it, but limits by path, in front of it, would not."""
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
