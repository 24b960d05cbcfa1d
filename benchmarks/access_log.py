"""The cost of the access log: the same requests with and without it, in turns."""

import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from benchmarks.cpu_time import CpuTime
from benchmarks.database import FixedRows
from benchmarks.load import CONNECTIONS, Speed
from benchmarks.options import Options
from benchmarks.report import Report, table
from benchmarks.requests import Requests, load_is_made_by
from benchmarks.stage import Stage, served

NAMES: Final = ("me", "item", "list20", "create")


class Turn(NamedTuple):
    """One measurement. `cpu_us` is the server's CPU time per request, or None if not on Linux."""

    speed: Speed
    cpu_us: float | None


@dataclass
class Comparison:
    """The measurements of one request, one of each server per round."""

    without: list[Turn] = field(default_factory=list)
    logged: list[Turn] = field(default_factory=list)

    @property
    def costs(self) -> list[float]:
        """Return how many times as long a request takes with the access log, for each round."""
        pairs = zip(self.without, self.logged, strict=True)
        return [without.speed.per_second / logged.speed.per_second for without, logged in pairs]


async def run(stage: Stage, options: Options) -> Report:
    """Compare servers without the access log with servers that write it to a file.

    Each round starts both anew, in turns: two processes differ by up to a tenth by chance.
    """
    database_url = stage.environment["DATABASE_URL"]
    requests = await Requests.prepare(stage.port, sessions=0)
    rows = await FixedRows.of(database_url)
    found = {name: Comparison() for name in NAMES}
    for number in range(options.rounds):
        with ExitStack() as servers:
            order = ["false", "true"] if number % 2 else ["true", "false"]
            started = {
                logs: servers.enter_context(
                    served(stage.cores, database_url, beside=stage, ACCESS_LOG=logs)
                )
                for logs in order
            }
            for server in started.values():
                await requests.warm_up(server.port, seconds=options.seconds)
            for name, comparison in found.items():
                for logs, server in started.items():
                    turn = await _measure(requests, name, server, options)
                    (comparison.logged if logs == "true" else comparison.without).append(turn)
                    await rows.restore()
    title = (
        f"access_log: {options.rounds} rounds of {options.seconds:g} s on {CONNECTIONS} "
        f"connections, without and with the access log in turns; {load_is_made_by(options.wrk)}"
    )
    return Report(title, [_figures(found)], _failures(found), {"access_log": _results(found)})


async def _measure(requests: Requests, name: str, server: Stage, options: Options) -> Turn:
    cpu, started = CpuTime.of(server.process_id), time.perf_counter()
    speed = await requests.ask(name, server.port, seconds=options.seconds, by=options.wrk)
    elapsed = time.perf_counter() - started
    used = CpuTime.between(cpu, CpuTime.of(server.process_id))
    await requests.settle(server.port)
    return Turn(speed, None if used is None else sum(used) / (speed.per_second * elapsed) * 1e6)


def _figures(found: Mapping[str, Comparison]) -> str:
    head = ["", "requests/s", "logged", "cost", "lowest", "highest", "CPU us", "logged", "CPU cost"]
    return table(head, [_row(name, each) for name, each in found.items()])


def _row(name: str, comparison: Comparison) -> list[str]:
    costs, sides = comparison.costs, (comparison.without, comparison.logged)
    speeds = [statistics.median(turn.speed.per_second for turn in turns) for turns in sides]
    spread = (statistics.median(costs), min(costs), max(costs))
    return [
        name,
        *(f"{speed:.0f}" for speed in speeds),
        *(f"{cost:.2f}" for cost in spread),
        *_cpu_figures(*map(_least_cpu, sides)),
    ]


def _least_cpu(turns: Sequence[Turn]) -> float | None:
    """Return the figure of the round that other load has disturbed least."""
    return min((turn.cpu_us for turn in turns if turn.cpu_us is not None), default=None)


def _cpu_figures(without: float | None, logged: float | None) -> list[str]:
    if without is None or logged is None:
        return ["-"] * 3
    return [f"{without:.0f}", f"{logged:.0f}", f"{logged / without:.2f}"]


def _failures(found: Mapping[str, Comparison]) -> list[str]:
    return [
        f"{name}: {turn.speed.failures}"
        for name, comparison in found.items()
        for turn in (*comparison.without, *comparison.logged)
        if turn.speed.failures
    ]


def _results(found: Mapping[str, Comparison]) -> dict[str, float]:
    """Return the median costs."""
    return {name: round(statistics.median(each.costs), 3) for name, each in found.items()}
