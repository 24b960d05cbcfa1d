"""A real HTTP server on loopback that records requests, in the event loop of the test."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Received:
    """One request as it arrived. Names of headers are in lower case."""

    line: str
    headers: dict[str, str]
    body: bytes


class HttpReceiver:
    """Answers with the statuses of `answers`, one each, and then with 204.

    An answer may also be bytes: a whole response.
    """

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self.answers: list[int | bytes] = []
        self.received: list[Received] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *fields = head.strip().split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (f.partition(":") for f in fields)
        }
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.received.append(Received(line, headers, body))
        answer = self.answers.pop(0) if self.answers else 204
        if isinstance(answer, int):
            answer = f"HTTP/1.1 {answer} Any\r\ncontent-length: 0\r\n\r\n".encode()
        writer.write(answer)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def http_receiver(
    *, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[HttpReceiver]:
    """Run a server at this address; port 0 is any free one."""
    found = HttpReceiver()
    async with await asyncio.start_server(found.serve, host, port, ssl=tls) as server:
        found.port = server.sockets[0].getsockname()[1]
        yield found
