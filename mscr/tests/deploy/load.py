"""Load of many concurrent clients, and the outcome of each request."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable
from typing import Final, Self

PAUSE_SECONDS: Final = 0.02
PATIENCE_SECONDS: Final = 30
REFUSED: Final = "connection refused"

Outcomes = Counter[str]


class Load:
    """Send requests until the end of the block. Half of the clients keep their connections alive.

    `requests` returns the next request as bytes. An outcome is a status, a refused connection, or
    the error that lost a request after its connection was established.
    """

    def __init__(self, port: int, requests: Callable[[], bytes], *, clients: int = 8) -> None:
        self.outcomes: Outcomes = Counter()
        self._port = port
        self._requests = requests
        self._clients = clients
        self._is_over = False

    async def __aenter__(self) -> Self:
        self._tasks = [
            asyncio.create_task(self._client(keeps=number % 2 == 0))
            for number in range(self._clients)
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_over = True
        await asyncio.gather(*self._tasks)

    @property
    def failed(self) -> Outcomes:
        """Return the outcomes other than success and a refused connection."""
        good = {REFUSED, "200", "201", "204"}
        return Counter({name: n for name, n in self.outcomes.items() if name not in good})

    async def _client(self, *, keeps: bool) -> None:
        connection: _Connection | None = None
        while not self._is_over:
            try:
                connection = connection or await _Connection.open(self._port)
                status, stays = await connection.ask(self._requests())
            except ConnectionRefusedError:
                self.outcomes[REFUSED] += 1
                connection = None
            except (OSError, EOFError, TimeoutError) as error:
                self.outcomes[type(error).__name__] += 1
                connection = _close(connection)
            else:
                self.outcomes[str(status)] += 1
                if not (keeps and stays):
                    connection = _close(connection)
            await asyncio.sleep(PAUSE_SECONDS)
        _close(connection)


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> Self:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, request: bytes) -> tuple[int, bool]:
        """Send a request. Return the status, and whether the connection can be reused."""
        self._writer.write(request)
        async with asyncio.timeout(PATIENCE_SECONDS):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            await self._content(head)
        return int(head.split()[1]), "connection: close" not in head

    async def _content(self, head: str) -> None:
        if "transfer-encoding: chunked" in head:
            while size := int(await self._reader.readline(), 16):
                await self._reader.readexactly(size + 2)
            await self._reader.readline()
        elif "content-length: " in head:
            length = head.partition("content-length: ")[2].partition("\r")[0]
            await self._reader.readexactly(int(length))

    def close(self) -> None:
        self._writer.close()


def _close(connection: _Connection | None) -> _Connection | None:
    """Close the connection, if there is one, and return None."""
    if connection is not None:
        connection.close()
    return None


def in_turns(*requests: bytes) -> Callable[[], bytes]:
    """Return a function that returns these requests in turn, for all clients together."""
    endless = itertools.cycle(requests)
    return lambda: next(endless)
