"""The server on a small application of its own, in the loop of the test, and raw connections."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

from uvicorn import Config

from app.server.draining import DrainingServer
from app.server.limits import Limits
from app.server.protocol import BoundedProtocol

PATIENCE_SECONDS = 10
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
        """Return the whole body, or null when the client is gone."""
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
    """Answer with what arrived; `/early` does not read its body."""
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

    async def connect(self) -> "Raw":
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        return Raw(reader, writer)

    async def ask(self, *parts: bytes) -> list[int]:
        """Send these parts and return the statuses that come before the connection ends.

        A connection that is kept is asked for one more response, which ends it.
        """
        async with await self.connect() as client:
            await client.send(*parts)
            return await client.statuses()

    async def is_idle(self) -> None:
        """Wait until the server has closed all its connections."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.server.server_state.connections:  # noqa: ASYNC110 - no event for it
                await asyncio.sleep(0.01)


class Raw:
    """A connection on which anything may be sent."""

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
            # The server's turn: each part arrives by itself.
            await asyncio.sleep(0.01)

    async def response(self) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and content of the next response; (0, {}, b"") at the end."""
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
        http=partial(BoundedProtocol, limits=limits, **options),  # type: ignore[arg-type]  # made like a class
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
    )
    # Fractions of a second, which uvicorn's types do not have.
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
