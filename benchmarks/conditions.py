"""Throughput under other conditions (connections, SQLite, workers), relative to the usual ones."""

import dataclasses
import statistics
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from benchmarks.database import FixedRows
from benchmarks.load import CONNECTIONS, Speed
from benchmarks.options import Options
from benchmarks.report import Report, table
from benchmarks.requests import Requests, load_is_made_by, measure
from benchmarks.stage import Stage, migrate, served
from mscr.testing.scratch import Account, ScratchDirectory

NAMES: Final = ("me", "list20", "create")
USUAL: Final = f"PostgreSQL, 1 worker, {CONNECTIONS} connections"
SHARED: Final = "1 worker on all cores"


@dataclass
class Condition:
    """A server and the way to load it. `speeds` has one measurement for each round."""

    port: int
    requests: Requests
    rows: FixedRows
    usual: str = USUAL
    how: Mapping[str, Any] = field(default_factory=dict)
    speeds: dict[str, list[Speed]] = field(default_factory=lambda: {name: [] for name in NAMES})

    async def ask(self, name: str, options: Options) -> None:
        await self.rows.restore()
        load = dataclasses.replace(self.requests.loads[name], may_be_shed=True, **self.how)
        speed = await measure(load, self.port, seconds=options.seconds, by=options.wrk)
        self.speeds[name].append(speed)
        await self.requests.settle(self.port)


async def run(stage: Stage, options: Options) -> Report:
    async with _conditions(stage) as found:
        for port, requests in {each.port: each.requests for each in found.values()}.items():
            await requests.warm_up(port, seconds=options.seconds)
        for _ in range(options.rounds):
            for name in NAMES:
                for condition in found.values():
                    await condition.ask(name, options)
    title = (
        f"conditions: {options.rounds} rounds of {options.seconds:g} s; of each the requests a "
        f"second, to those of the row that is named; {load_is_made_by(options.wrk)}"
    )
    return Report(title, [_figures(found)], _failures(found), {"conditions": _results(found)})


@asynccontextmanager
async def _conditions(stage: Stage) -> AsyncIterator[dict[str, Condition]]:
    url = stage.environment["DATABASE_URL"]
    with ExitStack() as servers:
        one = servers.enter_context(served(stage.cores.shared, url, beside=stage))
        two = servers.enter_context(
            served(stage.cores.shared, url, beside=stage, WEB_CONCURRENCY="2")
        )
        requests = await Requests.prepare(stage.port, sessions=0)
        rows = await FixedRows.of(url)

        def condition(port: int = stage.port, usual: str = USUAL, **how: Any) -> Condition:
            return Condition(port, requests, rows, usual, how)

        yield {
            USUAL: condition(),
            "64 connections": condition(connections=64),
            "256 connections": condition(connections=256),
            "a new connection each": condition(keep_alive=False),
            "SQLite": await _on_sqlite(stage, servers),
            SHARED: condition(one.port),
            "2 workers on all cores": condition(two.port, usual=SHARED),
        }


async def _on_sqlite(stage: Stage, servers: ExitStack) -> Condition:
    scratch = ScratchDirectory("bench", Account())
    servers.callback(scratch.remove)
    url = f"sqlite+aiosqlite:///{scratch.path / 'bench.db'}"
    migrate(url)
    server = servers.enter_context(served(stage.cores, url))
    requests = await Requests.prepare(server.port, sessions=0)
    return Condition(server.port, requests, await FixedRows.of(url))


def _figures(found: Mapping[str, Condition]) -> str:
    head = ["", *(head for name in NAMES for head in (name, "ratio", "low", "high")), "shed", "to"]
    return table(head, [_row(name, found) for name in found])


def _row(name: str, found: Mapping[str, Condition]) -> list[str]:
    condition = found[name]
    cells = []
    for request, speeds in condition.speeds.items():
        ratios = _ratios(condition, found, request)
        spread = (statistics.median(ratios), min(ratios), max(ratios))
        cells.append(f"{statistics.median(speed.per_second for speed in speeds):.0f}")
        cells += [f"{ratio:.2f}" for ratio in spread]
    shed = sum(speed.shed for speeds in condition.speeds.values() for speed in speeds)
    row = list(found).index(condition.usual) + 1
    return [name, *cells, str(shed), f"row {row}"]


def _ratios(condition: Condition, found: Mapping[str, Condition], request: str) -> Sequence[float]:
    usual = found[condition.usual].speeds[request]
    pairs = zip(condition.speeds[request], usual, strict=True)
    return [each.per_second / to.per_second for each, to in pairs]


def _failures(found: Mapping[str, Condition]) -> list[str]:
    return [
        f"{name}, {request}: {speed.failures}"
        for name, condition in found.items()
        for request, speeds in condition.speeds.items()
        for speed in speeds
        if speed.failures
    ]


def _results(found: Mapping[str, Condition]) -> dict[str, dict[str, float]]:
    """Return the median ratios of each condition."""
    return {
        name: {
            request: round(statistics.median(_ratios(condition, found, request)), 3)
            for request in NAMES
        }
        for name, condition in found.items()
    }
