"""Helpers: the server with a small application in the test's event loop, and raw connections."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

from uvicorn import Config

from mscr.server.draining import DrainingServer
from mscr.server.limits import Limits
from mscr.server.protocol import BoundedProtocol

PATIENCE_SECONDS = 10
# Far less than a large response: most of it stays in the server until the client reads.
KERNEL_BUFFER = 65_536
HOST = b"Host: a\r\n"

Handler = Callable[["Call"], Awaitable[None]]


def request(line: bytes, *headers: bytes, body: bytes = b"") -> bytes:
    return line + b" HTTP/1.1\r\n" + HOST + b"".join(h + b"\r\n" for h in headers) + b"\r\n" + body


@dataclass
class Call:
    """One request, as the application sees it."""

    scope: Any
    receive: Callable[[], Awaitable[Any]]
    send: Callable[[Any], Awaitable[None]]
    bodies: list[bytes] = field(default_factory=list)

    async def read(self) -> bytes | None:
        """Return the whole body, or None if the client disconnects."""
        body = b""
        while True:
            message: dict[str, Any] = await self.receive()
            if message["type"] == "http.disconnect":
                return None
            body += bytes(message["body"])
            if not message["more_body"]:
                return body

    async def answer(self, status: int, content: bytes) -> None:
        length = (b"content-length", b"%d" % len(content))
        await self.send({"type": "http.response.start", "status": status, "headers": [length]})
        await self.send({"type": "http.response.body", "body": content})


async def echo(call: Call) -> None:
    """Return the request as JSON. `/early` responds without reading its body."""
    if call.scope["path"] == "/early":
        await call.answer(413, b"too large")
    elif (body := await call.read()) is not None:
        seen = {
            "method": call.scope["method"],
            "path": call.scope["path"],
            "query": call.scope["query_string"].decode(),
            "headers": [[name.decode(), value.decode()] for name, value in call.scope["headers"]],
            "length": len(body),
        }
        await call.answer(200, json.dumps(seen).encode())


class Running:
    def __init__(self, server: DrainingServer, listener: socket.socket) -> None:
        self.server = server
        self.port: int = listener.getsockname()[1]
        self._listener = listener

    async def connect(self) -> "Raw":
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        return Raw(reader, writer)

    async def connect_with_small_buffers(self) -> "Raw":
        """Connect, with little room for unread bytes in the kernel, on both sides."""
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BUFFER)
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BUFFER)
        client.connect(("127.0.0.1", self.port))
        reader, writer = await asyncio.open_connection(sock=client)
        return Raw(reader, writer)

    async def ask(self, *parts: bytes) -> list[int]:
        """Send these parts and return the statuses of all responses until the connection closes."""
        async with await self.connect() as client:
            await client.send(*parts)
            return await client.statuses()

    async def is_idle(self) -> None:
        """Wait until the server has closed all its connections."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.server.server_state.connections:  # noqa: ASYNC110 - no event for it
                await asyncio.sleep(0.01)


class Raw:
    """A client connection that sends arbitrary bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()

    async def send(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()
            # Let the server run, so that each part arrives separately.
            await asyncio.sleep(0.01)

    async def response(self) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and content of the next response."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            head = await self.reader.readuntil(b"\r\n\r\n")
            lines = head.decode().split("\r\n")
            pairs = (line.partition(": ") for line in lines[1:] if line)
            headers = {name.lower(): value for name, _, value in pairs}
            content = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return int(lines[0].split()[1]), headers, content

    async def statuses(self) -> list[int]:
        found = []
        try:
            while True:
                found.append((await self.response())[0])
        except (asyncio.IncompleteReadError, ConnectionError):
            return found

    async def is_closed(self) -> bool:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.reader.read(1) == b""


async def _lifespan(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


@asynccontextmanager
async def serving(
    handler: Handler = echo,
    *,
    limits: Limits | None = None,
    keep_alive: float = 75,
    grace: float = 5,
    drain: float = 0,
    **options: Any,
) -> AsyncIterator[Running]:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        else:
            await handler(Call(scope, receive, send))

    config = Config(
        application,
        http=partial(BoundedProtocol, limits=limits, **options),  # type: ignore[arg-type]  # called as the class would be
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
    )
    # uvicorn's types allow no fractions of a second.
    config.timeout_keep_alive = keep_alive  # type: ignore[assignment]
    config.timeout_graceful_shutdown = grace  # type: ignore[assignment]
    server = DrainingServer(config, drain_seconds=drain)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    running = Running(server, listener)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.005)
        yield running
    finally:
        server.should_exit = True
        await task
