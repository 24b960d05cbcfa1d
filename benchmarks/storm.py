"""The login storm: does who only reads notice that others log in without pause?"""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from benchmarks.accounts import log_in, login_request, register
from benchmarks.client import OK, Connection, encode
from benchmarks.hashing import HashingAlone, measure_alone
from benchmarks.options import Options
from benchmarks.pacing import Timed, send_paced
from benchmarks.report import Report, percentile, table
from benchmarks.stage import Stage

READS_PER_SECOND: Final = 50
LOGIN_CONNECTIONS: Final = 8
# Of a phase's time: it varies less than what else is measured.
HASHING_SHARE: Final = 1 / 3

SHED: Final = 503

HEAD: Final = (
    *("round", "idle p50 ms", "idle p99 ms", "storm p50 ms", "storm p99 ms", "p99 ratio"),
    *("logins/s", "hashing alone/s", "share"),
)
DIGITS: Final = (1, 1, 1, 1, 2, 1, 1, 2)


@dataclass
class Logins:
    """What came of the logins of one phase."""

    statuses: Counter[int] = field(default_factory=Counter)
    began: asyncio.Event = field(default_factory=asyncio.Event)
    is_over: bool = False

    async def hammer(self, port: int, email: str) -> None:
        request = login_request(email)
        async with Connection(port) as connection:
            while not self.is_over:
                answer = await connection.send(request)
                self.statuses[answer.status] += 1
                self.began.set()


@dataclass(frozen=True)
class Round:
    idle: Sequence[Timed]
    storm: Sequence[Timed]
    hashing: HashingAlone
    statuses: Counter[int]
    logins_per_second: float

    def figures(self) -> list[float]:
        """In the order of `HEAD`."""
        alone = self.hashing.per_second
        idle_p50, idle_p99 = _percentiles(self.idle)
        storm_p50, storm_p99 = _percentiles(self.storm)
        reader = [idle_p50, idle_p99, storm_p50, storm_p99, storm_p99 / idle_p99]
        return [*reader, self.logins_per_second, alone, self.logins_per_second / alone]


async def run(stage: Stage, options: Options) -> Report:
    async with Connection(stage.port) as connection:
        reader = await log_in(connection, await register(connection, "reader"))
        emails = [await register(connection, f"login-{n}") for n in range(LOGIN_CONNECTIONS)]
    request = encode("GET", "/api/v1/users/me", token=reader["access_token"])
    rounds = [
        await _measure(stage, request, emails, options.seconds) for _ in range(options.rounds)
    ]
    return _report(rounds, options)


async def _measure(stage: Stage, request: bytes, emails: Sequence[str], seconds: float) -> Round:
    idle = await _read(stage.port, request, seconds)
    hashing = await measure_alone(stage, seconds * HASHING_SHARE)
    logins = Logins()
    async with asyncio.TaskGroup() as hammering:
        for email in emails:
            hammering.create_task(logins.hammer(stage.port, email))
        await logins.began.wait()
        earlier, started = logins.statuses[OK], time.perf_counter()
        storm = await _read(stage.port, request, seconds)
        done, elapsed = logins.statuses[OK] - earlier, time.perf_counter() - started
        logins.is_over = True
    return Round(idle, storm, hashing, logins.statuses, done / elapsed)


async def _read(port: int, request: bytes, seconds: float) -> list[Timed]:
    async with Connection(port) as connection:
        return await send_paced(connection, request, per_second=READS_PER_SECOND, seconds=seconds)


def _percentiles(answers: Sequence[Timed]) -> tuple[float, float]:
    """p50 and p99 in milliseconds, of what was answered as it should be."""
    times = [answer.seconds * 1000 for answer in answers if answer.status == OK]
    return percentile(times, 0.5), percentile(times, 0.99)


def _report(rounds: Sequence[Round], options: Options) -> Report:
    hashing = rounds[0].hashing
    title = (
        f"storm: GET /api/v1/users/me {READS_PER_SECOND} times a second, alone and while "
        f"{LOGIN_CONNECTIONS} log in without pause; {options.seconds:g} s each\n"
        f"Argon2id {hashing.parameters}, hashing threads: {hashing.threads}"
    )
    reads = Counter(answer.status for each in rounds for answer in (*each.idle, *each.storm))
    logins = sum((each.statuses for each in rounds), Counter[int]())
    return Report(title, [_figures(rounds), _counts(reads, logins)], broken_promises(reads, logins))


def _figures(rounds: Sequence[Round]) -> str:
    figures = [each.figures() for each in rounds]
    names = [*map(str, range(1, len(rounds) + 1)), "median"]
    figures.append([median(column) for column in zip(*figures, strict=True)])
    rows = [
        [name, *(f"{value:.{digits}f}" for value, digits in zip(row, DIGITS, strict=True))]
        for name, row in zip(names, figures, strict=True)
    ]
    return table(HEAD, rows)


def _counts(reads: Counter[int], logins: Counter[int]) -> str:
    rows = [
        ["reads", *_counted(reads, shed=0)],
        ["logins", *_counted(logins, shed=logins[SHED])],
    ]
    return table(["", "answered", "shed (503)", "errors"], rows)


def _counted(statuses: Counter[int], *, shed: int) -> list[str]:
    return [str(n) for n in (statuses[OK], shed, statuses.total() - statuses[OK] - shed)]


def broken_promises(reads: Counter[int], logins: Counter[int]) -> list[str]:
    return [
        f"{count} {what} were answered with {status or 'nothing'}"
        for what, statuses, allowed in (("reads", reads, {OK}), ("logins", logins, {OK, SHED}))
        for status, count in sorted(statuses.items())
        if status not in allowed
    ]
