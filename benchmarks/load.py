"""The load of one repeated request, by wrk if it is installed, else by our own client."""

import asyncio
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from benchmarks.client import Connection, encode
from benchmarks.report import percentile

CONNECTIONS: Final = 16
SHED: Final = HTTPStatus.SERVICE_UNAVAILABLE
SUCCESSES: Final = {HTTPStatus.OK, HTTPStatus.CREATED}


@dataclass(frozen=True)
class Load:
    """A GET or, with a body, a POST of that JSON. Without keep-alive, each opens a connection."""

    path: str
    token: str
    body: dict[str, str] | None = None
    connections: int = CONNECTIONS
    keep_alive: bool = True
    # Whether 503 (load shedding) is counted apart from failures, which costs wrk some time.
    may_be_shed: bool = False

    @property
    def request(self) -> bytes:
        method = "GET" if self.body is None else "POST"
        return encode(
            method, self.path, body=self.body, token=self.token, keep_alive=self.keep_alive
        )


@dataclass(frozen=True)
class Speed:
    """The speed of successful requests. `shed` is the number of responses with 503.

    `failures` describes other error responses and broken connections.
    """

    per_second: float
    p99_ms: float
    failures: str | None = None
    shed: int = 0


@dataclass
class _Round:
    load: Load
    until: float
    times: list[float] = field(default_factory=list)
    failures: int = 0
    shed: int = 0

    async def ask(self, port: int) -> None:
        request = self.load.request
        async with Connection(port, keep_alive=self.load.keep_alive) as connection:
            while (started := time.perf_counter()) < self.until:
                answer = await connection.send(request)
                if answer.status in SUCCESSES:
                    self.times.append(time.perf_counter() - started)
                elif self.load.may_be_shed and answer.status == SHED:
                    self.shed += 1
                else:
                    self.failures += 1


async def measure_by_client(load: Load, port: int, *, seconds: float) -> Speed:
    """Measure with our own client.

    It costs more than wrk: if it shares a core with the server, the server seems slower than it is.
    """
    started = time.perf_counter()
    turn = _Round(load, started + seconds)
    async with asyncio.TaskGroup() as connections:
        for _ in range(load.connections):
            connections.create_task(turn.ask(port))
    elapsed = time.perf_counter() - started
    failures = f"{turn.failures} were no success" if turn.failures else None
    p99_ms = percentile(turn.times, 0.99) * 1000
    return Speed(len(turn.times) / elapsed, p99_ms, failures, turn.shed)
