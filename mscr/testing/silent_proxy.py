"""A TCP proxy on loopback that can drop data silently, as a firewall with expired state does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from mscr.testing.callers import hang_up

CHUNK = 65_536
# PostgreSQL sends this to an idle client before it ends the session.
GOODBYE = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection\0\0"


class SilentProxy:
    """A proxy to a unix socket. `fall_silent` never closes a connection."""

    def __init__(self, target: Path) -> None:
        self.port = 0
        self.accepted = 0
        self.target = target
        self._is_open = asyncio.Event()
        self._is_open.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []
        self._to_clients: list[asyncio.StreamWriter] = []

    def fall_silent(self) -> None:
        """Drop all data of current connections, and forward new ones."""
        self._is_open.clear()
        self._is_open = asyncio.Event()
        self._is_open.set()

    def swallow_all(self) -> None:
        """Drop all data of current and new connections."""
        self._is_open.clear()

    def say_goodbye(self) -> None:
        """End the current sessions as PostgreSQL does, just before it closes the connections."""
        self.fall_silent()
        for writer in self._to_clients:
            writer.write(b"E" + (len(GOODBYE) + 4).to_bytes(4) + GOODBYE)

    async def _accept(
        self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter
    ) -> None:
        self.accepted += 1
        self._writers.append(to_client)
        self._to_clients.append(to_client)
        is_open = self._is_open
        from_server, to_server = await asyncio.open_unix_connection(str(self.target))
        self._writers.append(to_server)
        for source, sink in ((from_client, to_server), (from_server, to_client)):
            task = asyncio.create_task(_forward(source, sink, is_open))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()
            await hang_up(writer)


async def _forward(
    source: asyncio.StreamReader, sink: asyncio.StreamWriter, is_open: asyncio.Event
) -> None:
    with suppress(OSError):
        while data := await source.read(CHUNK):
            if is_open.is_set():
                sink.write(data)
                await sink.drain()
        if is_open.is_set():
            sink.close()


@asynccontextmanager
async def silent_proxy(target: Path) -> AsyncIterator[SilentProxy]:
    proxy = SilentProxy(target)
    async with await asyncio.start_server(proxy._accept, "127.0.0.1", 0) as server:
        proxy.port = server.sockets[0].getsockname()[1]
        yield proxy
        server.close()
        await proxy.close()
