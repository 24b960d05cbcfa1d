"""A path prefix: a proxy serves the application under `/svc`, and takes it off or passes it on."""

import re
from collections.abc import Callable, Iterable
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

# Unreserved characters (RFC 3986 §2.3): the same text, encoded or not, for every proxy.
_ROOT_PATH: Final = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")


def check_root_path(value: str) -> str:
    """Raises `ValueError` for what is no path prefix."""
    segments = value.split("/")
    if value and (not _ROOT_PATH.fullmatch(value) or {".", ".."} & set(segments)):
        raise ValueError("needs the form /svc: a slash first, none at the end, no .., no query")
    return value


class RootPathMiddleware:
    """Sets `root_path`, and makes `path` begin with it, as ASGI demands.

    Both kinds of proxies work, and so do probes and neighbours that call the application without
    any proxy. A path that is ambiguous, as `/api/v1` behind the prefix `/api`, is taken as passed
    on only if the rest of it is one of the application's own paths.
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
        # A server or a parent application that sets it has completed the path, too.
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
            # On the first request: routes are added after middleware.
            self._beginnings = frozenset(_beginning(each) for each in self._own_paths())
        return _beginning(path) in self._beginnings


def _beginning(path: str) -> str:
    return "/".join(path.split("/", 2)[:2])
