"""A minimal HTTP/1.1 client: the cost of the load must not distort the measurement."""

import asyncio
import json
import re
from collections.abc import Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

HOST: Final = "127.0.0.1"
ANSWER_TIMEOUT: Final = timedelta(seconds=60)

END_OF_HEAD: Final = b"\r\n\r\n"
OK: Final = 200
STATUS: Final = slice(len("HTTP/1.1 "), len("HTTP/1.1 200"))
CONTENT_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Answer(NamedTuple):
    """A response. `status` is 0 if none came: the connection broke, or the timeout expired."""

    status: int
    body: bytes = b""

    @property
    def data(self) -> dict[str, Any]:
        """The `data` of a success."""
        found: dict[str, Any] = json.loads(self.body)["data"]
        return found


def encode(
    method: str,
    path: str,
    *,
    body: Mapping[str, Any] | None = None,
    token: str | None = None,
    keep_alive: bool = True,
) -> bytes:
    """Return the bytes of a request, for `Connection.send`."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {HOST}"]
    content = b""
    if not keep_alive:
        lines.append("Connection: close")
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    if body is not None:
        content = json.dumps(body).encode()
        lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    return "\r\n".join(lines).encode() + END_OF_HEAD + content


class Connection:
    """A connection that is opened again after a failure or, without keep-alive, for each request.

    Do not pause for long: servers close idle connections.
    """

    def __init__(self, port: int, *, keep_alive: bool = True) -> None:
        self._port = port
        self._keep_alive = keep_alive
        self._streams: Streams | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()

    async def send(self, request: bytes) -> Answer:
        """Return the response. A broken connection raises nothing: the status is 0."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT.total_seconds()):
                return await self._exchange(request)
        except (OSError, EOFError):
            self._close()
            return Answer(0)

    async def _exchange(self, request: bytes) -> Answer:
        if self._streams is None:
            self._streams = await asyncio.open_connection(HOST, self._port)
        reader, writer = self._streams
        writer.write(request)
        head = await reader.readuntil(END_OF_HEAD)
        length = CONTENT_LENGTH.search(head)
        body = await reader.readexactly(int(length[1])) if length else b""
        if not self._keep_alive:
            self._close()
        return Answer(int(head[STATUS]), body)

    def _close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
