"""Body limits of single routes, larger or smaller than MAX_BODY_BYTES.

`@router.post("/avatar", max_body_size=5_242_880)` is FastAPI's own option. Without this module, it
would refuse an announced length in plain text, and could not exceed MAX_BODY_BYTES.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from fastapi.routing import iter_route_contexts
from starlette.types import Scope


class _Limited(NamedTuple):
    methods: frozenset[str]
    path_regex: Any
    max_body_size: int


def body_limit(scope: Scope, default: int) -> int:
    """Return the maximum bytes of a request's body, before its route is found."""
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    for route in _limited_routes(scope["app"]):
        if scope["method"] in route.methods and route.path_regex.match(path):
            return route.max_body_size
    return default


def _limited_routes(app: Any) -> Sequence[_Limited]:
    # Compare the number of routes: routers may be added to an application that already serves.
    count = len(app.routes)
    known: tuple[int, Sequence[_Limited]] | None = getattr(app.state, "limited_routes", None)
    if known is None or known[0] != count:
        known = app.state.limited_routes = (
            count,
            [
                _Limited(frozenset(route.methods or ()), route.path_regex, limit)
                for route in iter_route_contexts(app.routes)
                if (limit := getattr(route, "max_body_size", None)) is not None
            ],
        )
    return known[1]
