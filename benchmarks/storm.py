"""The login storm: how much do continuous logins slow down the reads of others?"""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from benchmarks.accounts import log_in, login_request, register
from benchmarks.client import OK, Connection, encode
from benchmarks.cpu_time import CpuTime
from benchmarks.hashing import measure_alone
from benchmarks.options import Options
from benchmarks.pacing import send_paced
from benchmarks.report import Report
from benchmarks.stage import Stage
from benchmarks.storm_report import Phase, Round, report

READS_PER_SECOND: Final = 50
LOGIN_CONNECTIONS: Final = 8
# The share of a phase's time for hashing alone, which varies less than the other measurements.
HASHING_SHARE: Final = 1 / 3


@dataclass
class Logins:
    """The outcomes of continuous logins, which begin when `hammer` runs."""

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


async def run(stage: Stage, options: Options) -> Report:
    async with Connection(stage.port) as connection:
        reader = await log_in(connection, await register(connection, "reader"))
        emails = [await register(connection, f"login-{n}") for n in range(LOGIN_CONNECTIONS)]
    request = encode("GET", "/api/v1/users/me", token=reader["access_token"])
    rounds = [
        await _measure(stage, request, emails, options.seconds) for _ in range(options.rounds)
    ]
    return report(_title(rounds, options), rounds)


def _title(rounds: Sequence[Round], options: Options) -> str:
    hashing = rounds[0].hashing
    return (
        f"storm: GET /api/v1/users/me {READS_PER_SECOND} times a second, alone and while "
        f"{LOGIN_CONNECTIONS} log in without pause; {options.seconds:g} s each\n"
        f"Argon2id {hashing.parameters}, hashing threads: {hashing.threads}"
    )


async def _measure(stage: Stage, request: bytes, emails: Sequence[str], seconds: float) -> Round:
    logins = Logins()
    idle = await _observe(stage, request, seconds, logins)
    hashing = await measure_alone(stage, seconds * HASHING_SHARE)
    async with asyncio.TaskGroup() as hammering:
        for email in emails:
            hammering.create_task(logins.hammer(stage.port, email))
        await logins.began.wait()
        storm = await _observe(stage, request, seconds, logins)
        logins.is_over = True
    return Round(idle, storm, hashing, logins.statuses)


async def _observe(stage: Stage, request: bytes, seconds: float, logins: Logins) -> Phase:
    cpu, done, started = CpuTime.of(stage.process_id), logins.statuses[OK], time.perf_counter()
    async with Connection(stage.port) as connection:
        reads = await send_paced(connection, request, per_second=READS_PER_SECOND, seconds=seconds)
    return Phase(
        reads,
        logins.statuses[OK] - done,
        time.perf_counter() - started,
        CpuTime.between(cpu, CpuTime.of(stage.process_id)),
    )
