"""A path prefix: a proxy serves the application under `/svc`, and strips it or passes it on."""

from collections.abc import Callable, Iterable

from starlette.types import ASGIApp, Receive, Scope, Send


class RootPathMiddleware:
    """Set `root_path`, and make `path` begin with it, as ASGI requires.

    Both kinds of proxies work, and so do probes and neighbours that call the application without
    any proxy. An ambiguous path, such as `/api/v1` behind the prefix `/api`, counts as passed on
    only if the rest of it is one of the application's own paths.
    """

    def __init__(
        self, app: ASGIApp, root_path: str, own_paths: Callable[[], Iterable[str]]
    ) -> None:
        self.app = app
        self._root = root_path
        self._raw_root = root_path.encode()
        self._own_paths = own_paths
        self._beginnings: frozenset[str] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # A server or a parent application that sets `root_path` has also completed the path.
        if scope["type"] in {"http", "websocket"} and not scope.get("root_path"):
            scope["root_path"] = self._root
            if not self._is_passed_on(scope["path"]):
                scope["path"] = self._root + scope["path"]
                if scope.get("raw_path") is not None:
                    scope["raw_path"] = self._raw_root + scope["raw_path"]
        await self.app(scope, receive, send)

    def _is_passed_on(self, path: str) -> bool:
        rest = path.removeprefix(self._root)
        if rest == path or rest[:1] not in {"", "/"}:
            return False
        return not self._is_own(path) or self._is_own(rest)

    def _is_own(self, path: str) -> bool:
        if self._beginnings is None:
            # Computed on the first request: routes are added after middleware.
            self._beginnings = frozenset(_beginning(each) for each in self._own_paths())
        return _beginning(path) in self._beginnings


def _beginning(path: str) -> str:
    return "/".join(path.split("/", 2)[:2])
