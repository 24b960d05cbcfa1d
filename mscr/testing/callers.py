"""Listeners on loopback that send no response: one counts connections, one keeps them open."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """Close the connection and wait for it, or a later test gets a warning about it."""
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


class CallCounter:
    """A listener on loopback that counts connections and closes each without a response."""

    def __init__(self) -> None:
        self.calls = 0
        self.url = ""

    def _count(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.calls += 1
        writer.close()


@asynccontextmanager
async def counting_calls() -> AsyncIterator[CallCounter]:
    counter = CallCounter()
    server = await asyncio.start_server(counter._count, "127.0.0.1", 0)
    async with server:
        counter.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys"
        yield counter


@asynccontextmanager
async def server_that_never_answers() -> AsyncIterator[int]:
    """Yield the port of a server that accepts connections, and closes them at the end."""
    accepted: list[asyncio.StreamWriter] = []

    def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.append(writer)

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            for writer in accepted:
                await hang_up(writer)
