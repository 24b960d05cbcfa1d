"""Translate requests and responses between the kit's dialect and the application's."""

from collections.abc import Awaitable, Iterable
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mscr.http.dialect import Dialect, ErrorShape
from mscr.http.problem_sender import ProblemSender

BEARER: Final = b"bearer"
# The message of Starlette's extension for tests: the problem that an error was made from.
DEBUG: Final = "http.response.debug"

Headers = list[tuple[bytes, bytes]]


class DialectMiddleware:
    """Translate errors, access tokens and challenges.

    The errors of `token_path` keep the shape of RFC 6749, which OAuth2 clients read.
    """

    def __init__(self, app: ASGIApp, dialect: Dialect, token_path: str) -> None:
        self.app = app
        self._dialect = dialect
        self._token_path = token_path
        self._scheme = dialect.token_scheme.name.encode() if dialect.token_scheme else b""

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "lifespan":
            return self.app(scope, receive, send)
        if self._scheme:
            scope = {**scope, "headers": self._translated(scope["headers"])}
            send = self._challenging(send)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        shape = self._dialect.shape_of(path)
        if shape is not None and path != self._token_path:
            send = _sending(send, shape, is_tested=DEBUG in scope.get("extensions", {}))
        return self.app(scope, receive, send)

    def _translated(self, headers: Iterable[tuple[bytes, bytes]]) -> Headers:
        return [(n, self._bearer(v) if n == b"authorization" else v) for n, v in headers]

    def _bearer(self, credentials: bytes) -> bytes:
        """Swap both schemes, so that the kit refuses `Bearer` as an unknown one."""
        scheme, space, token = credentials.partition(b" ")
        if scheme.lower() == self._scheme.lower():
            return BEARER + space + token
        return self._scheme + space + token if scheme.lower() == BEARER else credentials

    def _challenging(self, send: Send) -> Send:
        async def challenge(message: Message) -> None:
            if message["type"].endswith("http.response.start"):
                message["headers"] = [
                    (n, self._challenge(v) if n.lower() == b"www-authenticate" else v)
                    for n, v in message.get("headers", ())
                ]
            await send(message)

        return challenge

    def _challenge(self, value: bytes) -> bytes:
        is_ours = value.partition(b" ")[0].lower() == BEARER
        return self._scheme + value[len(BEARER) :] if is_ours else value


def _sending(send: Send, shape: ErrorShape, *, is_tested: bool) -> Send:
    problems: list[dict[str, Any]] = []

    def change(problem: dict[str, Any]) -> bytes:
        problems.append(problem)
        return shape.content(problem)

    async def show(message: Message) -> None:
        if problems:
            await send({"type": DEBUG, "info": {"problem": problems.pop()}})
        await send(message)

    return ProblemSender(show if is_tested else send, change, shape.media_type).send
