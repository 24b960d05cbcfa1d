"""One request, asked again and again: by wrk where the machine has it, else by our own client."""

import asyncio
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from benchmarks.client import Connection, encode
from benchmarks.report import percentile

CONNECTIONS: Final = 16
SUCCESSES: Final = {HTTPStatus.OK, HTTPStatus.CREATED}


@dataclass(frozen=True)
class Load:
    """A GET, or with a body a POST of that JSON."""

    path: str
    token: str
    body: dict[str, str] | None = None
    connections: int = CONNECTIONS

    @property
    def request(self) -> bytes:
        method = "GET" if self.body is None else "POST"
        return encode(method, self.path, body=self.body, token=self.token)


@dataclass(frozen=True)
class Speed:
    """`failures` tells of answers that are no success, and of connections that broke."""

    per_second: float
    p99_ms: float
    failures: str | None = None


@dataclass
class _Round:
    request: bytes
    until: float
    times: list[float] = field(default_factory=list)
    failures: int = 0

    async def ask(self, port: int) -> None:
        async with Connection(port) as connection:
            while (started := time.perf_counter()) < self.until:
                answer = await connection.send(self.request)
                if answer.status in SUCCESSES:
                    self.times.append(time.perf_counter() - started)
                else:
                    self.failures += 1


async def measure_by_client(load: Load, port: int, *, seconds: float) -> Speed:
    """It costs more than wrk: where both share a core, the server seems slower than it is."""
    started = time.perf_counter()
    turn = _Round(load.request, started + seconds)
    async with asyncio.TaskGroup() as connections:
        for _ in range(load.connections):
            connections.create_task(turn.ask(port))
    elapsed = time.perf_counter() - started
    failures = f"{turn.failures} were no success" if turn.failures else None
    return Speed(len(turn.times) / elapsed, percentile(turn.times, 0.99) * 1000, failures)
