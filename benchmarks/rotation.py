"""The rotation of refresh tokens: its speed, and that it adds no rows."""

import asyncio
import math
import secrets
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Final

from benchmarks.accounts import log_in, register
from benchmarks.client import OK, Connection, encode
from benchmarks.load import CONNECTIONS, Speed
from benchmarks.options import Options
from benchmarks.report import Report, percentile, table
from benchmarks.stage import Stage

# Far below MAX_SESSIONS_PER_USER, so that no login ends an older session.
SESSIONS_PER_USER: Final = 5
FAMILIES: Final = "refresh_tokens"


@dataclass
class Rotation:
    """The newest token of each session, and the limit: a number of refreshes, or a time."""

    tokens: deque[str]
    remaining: int = sys.maxsize
    until: float = math.inf
    times: list[float] = field(default_factory=list)
    failures: int = 0

    async def refresh(self, port: int) -> None:
        """Refresh sessions in turn. A token is taken from the queue, so it is used only once."""
        async with Connection(port) as connection:
            while self.remaining and self.tokens and time.perf_counter() < self.until:
                self.remaining -= 1
                await self._refresh_one(connection, self.tokens.popleft())

    async def _refresh_one(self, connection: Connection, token: str) -> None:
        request = encode("POST", "/api/v1/auth/refresh", body={"refresh_token": token})
        started = time.perf_counter()
        answer = await connection.send(request)
        if answer.status == OK:
            self.times.append(time.perf_counter() - started)
            self.tokens.append(answer.data["refresh_token"])
        else:
            self.failures += 1


@dataclass(frozen=True)
class Rows:
    before: int
    after: int


async def refreshes_per_second(tokens: deque[str], port: int, *, seconds: float) -> Speed:
    """Measure refreshes of the sessions with these tokens. Replaces each token by its successor."""
    rotation = Rotation(tokens)
    started = time.perf_counter()
    rotation.until = started + seconds
    await _refresh_on_each_connection(rotation, port)
    elapsed = time.perf_counter() - started
    failures = f"{rotation.failures} were refused" if rotation.failures else None
    return Speed(len(rotation.times) / elapsed, percentile(rotation.times, 0.99) * 1000, failures)


async def run(stage: Stage, options: Options) -> Report:
    rotation = Rotation(await start_sessions(stage.port, options.sessions), options.refreshes)
    before = await stage.count_rows(FAMILIES)
    started = time.perf_counter()
    await _refresh_on_each_connection(rotation, stage.port)
    elapsed = time.perf_counter() - started
    rows = Rows(before, await stage.count_rows(FAMILIES))
    return _report(rotation, rows, elapsed, options)


async def _refresh_on_each_connection(rotation: Rotation, port: int) -> None:
    async with asyncio.TaskGroup() as connections:
        for _ in range(CONNECTIONS):
            connections.create_task(rotation.refresh(port))


async def start_sessions(port: int, sessions: int) -> deque[str]:
    """Start this number of sessions, of a few new users. Return their refresh tokens."""
    async with Connection(port) as connection:
        users = -(-sessions // SESSIONS_PER_USER)
        emails = [await register(connection, secrets.token_hex(8)) for _ in range(users)]
        turns = islice(cycle(emails), sessions)
        logins = [await log_in(connection, email) for email in turns]
    return deque(tokens["refresh_token"] for tokens in logins)


def _report(rotation: Rotation, rows: Rows, elapsed: float, options: Options) -> Report:
    title = (
        f"rotation: {options.refreshes} refreshes of {options.sessions} sessions on "
        f"{CONNECTIONS} connections, each session's in order"
    )
    speed = _speed(rotation.times, elapsed)
    counts = table(
        ["", "refreshed", "failures", "rows before", "rows after"],
        [[FAMILIES, *map(str, (len(rotation.times), rotation.failures, rows.before, rows.after))]],
    )
    return Report(title, [speed, counts], broken_promises(rotation, rows))


def _speed(times: Sequence[float], elapsed: float) -> str:
    p50, p99 = (percentile(times, share) * 1000 for share in (0.5, 0.99))
    row = ["rotation", f"{len(times) / elapsed:.0f}", f"{p50:.1f}", f"{p99:.1f}"]
    return table(["", "refreshes/s", "p50 ms", "p99 ms"], [row])


def broken_promises(rotation: Rotation, rows: Rows) -> list[str]:
    broken = []
    if rotation.failures or rotation.remaining:
        broken.append(
            f"refreshes that failed: {rotation.failures}, not tried: {rotation.remaining}"
        )
    if rows.after != rows.before:
        broken.append(f"{FAMILIES} went from {rows.before} to {rows.after} rows")
    return broken
