"""Who calls a server that nobody should call."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """And see it done: what a loop leaves half closed is a warning of a later test."""
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


class CallCounter:
    """A listener on loopback that counts connections and answers none."""

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
