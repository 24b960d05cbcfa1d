"""Every route of an application: its dependencies and its operation in OpenAPI."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from uuid import uuid4

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts

from mscr.endpoints.permissions import Sharing, sharing_of
from mscr.endpoints.refresh_cookie import RefreshCookieScheme
from mscr.http.anonymous import Access, access_of

Caller = Literal["anonymous", "user", "administrator"]
CALLERS: Final[tuple[Caller, ...]] = ("anonymous", "user", "administrator")
# The method of a folder of static files.
FILES: Final = "FILES"
SAFE_METHODS: Final = {"GET", "HEAD"}
PARAMETER: Final = re.compile(r"{(\w+)(?::\w+)?}")
# A file in the folder of the documentation's pages.
_STATIC_FILE: Final = "swagger-ui.css"


@dataclass(frozen=True, kw_only=True)
class ApiRoute:
    """A route, named `METHOD /path`. `operation` is empty if OpenAPI does not show it."""

    name: str
    operation: Mapping[str, Any]
    access: Access
    """Whether a dependency requires an access token, or reads one."""
    reads_cookie: bool
    """Whether a dependency reads the refresh token's cookie."""
    permissions: frozenset[str]
    sharing: Sharing | None
    calls: frozenset[Callable[..., Any]]
    """The functions of all dependencies."""

    @property
    def method(self) -> str:
        """Return the method of a request."""
        method = self.name.partition(" ")[0]
        return "GET" if method == FILES else method

    @property
    def path(self) -> str:
        """Return the pattern of the path, and of a folder the path of a file in it."""
        path = self.name.partition(" ")[2]
        return f"{path}/{_STATIC_FILE}" if self.name.startswith(FILES) else path

    @property
    def needs_caller(self) -> bool:
        return self.access == "required"

    @property
    def is_safe(self) -> bool:
        return self.method in SAFE_METHODS

    @property
    def parameters(self) -> list[Mapping[str, Any]]:
        """Return the parameters in the path, in the query and in headers."""
        return list(self.operation.get("parameters", ()))

    def path_with(self, value: str) -> str:
        """Return the path with this value for each parameter."""
        return PARAMETER.sub(lambda _: value, self.path)


def routes_of(app: FastAPI) -> dict[str, ApiRoute]:
    """Return every route by its name, sorted by path."""
    paths = app.openapi()["paths"]
    found = [
        _described(method, route, paths.get(getattr(route, "path_format", route.path), {}))
        for route in iter_route_contexts(app.routes)
        for method in (route.methods or {FILES})
    ]
    found.sort(key=lambda route: (route.path, route.name))
    return {route.name: route for route in found}


def methods_at(app: FastAPI, path: str) -> set[str]:
    """Return the methods of all routes whose pattern matches this path."""
    methods: set[str] = set()
    for name in routes_of(app):
        method, _, pattern = name.partition(" ")
        segments = PARAMETER.sub("[^/]+", pattern)
        if method == FILES and re.fullmatch(f"{segments}/.*", path):
            methods |= SAFE_METHODS
        elif re.fullmatch(segments, path):
            methods.add(method)
    # Every path with GET also has HEAD.
    return methods | {"HEAD"} if "GET" in methods else methods


def random_id() -> str:
    """Return a public id that no object has."""
    return str(uuid4())


def _described(method: str, route: Any, operations: Mapping[str, Any]) -> ApiRoute:
    dependant: Dependant | None = getattr(route, "dependant", None)
    dependencies = list(_dependencies(dependant)) if dependant else []
    calls = [found.call for found in dependencies if found.call is not None]
    return ApiRoute(
        name=f"{method} {route.path}",
        operation=operations.get(method.lower(), {}),
        access=access_of(dependant) if dependant else "open",
        reads_cookie=any(isinstance(call, RefreshCookieScheme) for call in calls),
        permissions=frozenset(
            scope for found in dependencies for scope in found.own_oauth_scopes or ()
        ),
        sharing=sharing_of(getattr(route, "endpoint", None)),
        calls=frozenset(calls),
    )


def _dependencies(dependant: Dependant) -> Iterator[Dependant]:
    for dependency in dependant.dependencies:
        yield dependency
        yield from _dependencies(dependency)
