"""A TCP proxy on loopback that can fall silent, as a firewall does that forgets a connection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.support.callers import hang_up

CHUNK = 65_536
# What PostgreSQL writes to an idle client before it ends the session.
GOODBYE = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection\0\0"


class SilentProxy:
    """Forwards to a unix socket. No connection is ever closed because of `fall_silent`."""

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
        """Swallow what present connections send, and forward new ones."""
        self._is_open.clear()
        self._is_open = asyncio.Event()
        self._is_open.set()

    def swallow_all(self) -> None:
        """Swallow what present and new connections send."""
        self._is_open.clear()

    def say_goodbye(self) -> None:
        """End the present sessions as PostgreSQL does, up to the moment before it hangs up."""
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
