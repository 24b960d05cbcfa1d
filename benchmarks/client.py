"""HTTP/1.1 with as little work as possible: what the load costs is not to be measured."""

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
    """`status` is 0 where no answer came: the connection broke, or the time was up."""

    status: int
    body: bytes = b""

    @property
    def data(self) -> dict[str, Any]:
        """What a success is about."""
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
    """A request as it goes over the wire, for `Connection.send`."""
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
    """Opened anew after a failure, and unless it is kept alive, for each request.

    Not for long pauses: a server closes connections on which nothing comes.
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
        """Raises nothing for a broken connection: that is an answer of status 0."""
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
