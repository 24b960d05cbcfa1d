"""The path prefix (ROOT_PATH) is applied to the path that a server received."""

import pytest
from starlette.types import Receive, Scope, Send

from mscr.core.setting_values import check_path_prefix
from mscr.http.root_path import RootPathMiddleware

OWN_PATHS = ["/api/v1/items", "/docs", "/docs/oauth2-redirect", "/health"]


async def scope_behind(root: str, scope: Scope) -> Scope:
    """Return the scope that reaches the application."""

    async def remember(seen: Scope, _: Receive, __: Send) -> None:
        scope.update(seen)

    middleware = RootPathMiddleware(remember, root_path=root, own_paths=lambda: OWN_PATHS)
    await middleware(scope, None, None)  # type: ignore[arg-type]  # nothing is received or sent
    return scope


@pytest.mark.parametrize(
    ("root", "received", "path"),
    [
        ("/svc", "/docs", "/svc/docs"),
        ("/svc", "/svc/docs", "/svc/docs"),
        ("/svc", "/svc", "/svc"),
        ("/svc", "/svc/", "/svc/"),
        ("/svc", "/svcx/docs", "/svc/svcx/docs"),
        ("/svc", "/", "/svc/"),
        ("/team/svc", "/team/svc/docs", "/team/svc/docs"),
        ("/team/svc", "/docs", "/team/svc/docs"),
        # These prefixes look like paths of the application.
        ("/api", "/api/v1/items", "/api/api/v1/items"),
        ("/api", "/api/api/v1/items", "/api/api/v1/items"),
        ("/api", "/api/docs", "/api/docs"),
        ("/api/v1", "/api/v1/items", "/api/v1/api/v1/items"),
        ("/api/v1", "/api/v1/api/v1/items", "/api/v1/api/v1/items"),
        ("/docs", "/docs", "/docs/docs"),
        ("/docs", "/docs/docs", "/docs/docs"),
        ("/docs", "/docs/oauth2-redirect", "/docs/docs/oauth2-redirect"),
        ("/docs", "/docs/docs/oauth2-redirect", "/docs/docs/oauth2-redirect"),
    ],
)
async def test_the_path_begins_with_the_prefix_once(root: str, received: str, path: str) -> None:
    scope = await scope_behind(
        root, {"type": "http", "path": received, "raw_path": received.encode()}
    )

    assert (scope["path"], scope["raw_path"]) == (path, path.encode())
    assert scope["root_path"] == root


async def test_the_raw_path_is_optional() -> None:
    scope = await scope_behind("/svc", {"type": "websocket", "path": "/docs"})
    assert scope == {"type": "websocket", "path": "/svc/docs", "root_path": "/svc"}


@pytest.mark.parametrize(
    "scope", [{"type": "lifespan"}, {"type": "http", "root_path": "/base", "path": "/base/docs"}]
)
async def test_a_scope_with_a_root_path_is_left_alone(scope: Scope) -> None:
    assert await scope_behind("/svc", dict(scope)) == scope


@pytest.mark.parametrize("value", ["", "/svc", "/a/b", "/v1.2", "/~user", "/a-b_c", "/..."])
def test_a_prefix_is_a_plain_path(value: str) -> None:
    assert check_path_prefix(value) == value


@pytest.mark.parametrize(
    "value",
    [
        *("/", "svc", "/svc/", "//svc", "/a//b", "/svc?x=1", "/svc#x", "/..", "/a/../b", "/./a"),
        *("/a b", "/ä", "/%2e%2e", "/a\\b", "https://example.com/svc", "/svc\n", "/a/."),
    ],
)
def test_any_other_prefix_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="needs the form /svc"):
        check_path_prefix(value)
