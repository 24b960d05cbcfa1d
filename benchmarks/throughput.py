"""Requests a second of the application and of the reference server, measured in turn."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks.database import FixedRows
from benchmarks.load import CONNECTIONS, Speed
from benchmarks.options import Options
from benchmarks.report import Report, table
from benchmarks.requests import Requests, load_is_made_by
from benchmarks.stage import ROOT, Stage, served

BASELINE: Final = ROOT / "benchmarks" / "baseline.json"
REFERENCE: Final = ("uvicorn", "benchmarks.reference:app", "--no-access-log", "--no-server-header")


@dataclass
class Comparison:
    """The speeds of both servers in each round."""

    application: list[Speed] = field(default_factory=list)
    reference: list[Speed] = field(default_factory=list)

    @property
    def ratios(self) -> list[float]:
        pairs = zip(self.application, self.reference, strict=True)
        return [ours.per_second / theirs.per_second for ours, theirs in pairs]


async def run(stage: Stage, options: Options) -> Report:
    found, broken = await compare(stage, await Requests.prepare(stage.port), options)
    tables = [figures_of(found), *against_baseline(ratios_of(found))]
    results = {"ratios": ratios_of(found), "throughput": results_of(found)}
    return Report(title("throughput", options), tables, broken, results)


async def compare(
    stage: Stage, requests: Requests, options: Options, *further_tables: str
) -> tuple[dict[str, Comparison], list[str]]:
    """Return the speeds of each request, and the broken promises.

    `further_tables` names tables that the requests add rows to, besides those of all workloads.
    """
    database_url = stage.environment["DATABASE_URL"]
    found = {name: Comparison() for name in requests.names}
    with served(stage.cores, database_url, REFERENCE, stage) as reference:
        rows = await FixedRows.of(database_url, *further_tables)
        different = await _differences(requests, stage.port, reference.port)
        await requests.warm_up(stage.port, reference.port, seconds=options.seconds)
        for _ in range(options.rounds):
            for name, comparison in found.items():
                for port, speeds in (
                    (stage.port, comparison.application),
                    (reference.port, comparison.reference),
                ):
                    speed = await requests.ask(name, port, seconds=options.seconds, by=options.wrk)
                    speeds.append(speed)
                    await requests.settle(port)
                    # Otherwise created items would make lists and totals grow, and differ.
                    await rows.restore()
    return found, [*different, *_failures(found)]


async def _differences(requests: Requests, application: int, reference: int) -> list[str]:
    """List requests that the two servers respond to differently: their speeds are no comparison."""
    ours, theirs = await requests.answers(application), await requests.answers(reference)
    return [f"{name} is answered in two ways" for name in ours if ours[name] != theirs[name]]


def title(name: str, options: Options) -> str:
    return (
        f"{name}: {options.rounds} rounds of {options.seconds:g} s on {CONNECTIONS} "
        f"connections, in turns with benchmarks/reference.py; {load_is_made_by(options.wrk)}"
    )


def figures_of(found: Mapping[str, Comparison]) -> str:
    head = ["", "requests/s", "p99 ms", "reference", "p99 ms", "ratio", "lowest", "highest"]
    return table(head, [_row(name, each) for name, each in found.items()])


def _row(name: str, comparison: Comparison) -> list[str]:
    figures = []
    for speeds in (comparison.application, comparison.reference):
        figures.append(f"{_median_speed(speeds):.0f}")
        figures.append(f"{statistics.median(each.p99_ms for each in speeds):.1f}")
    ratios = comparison.ratios
    spread = (statistics.median(ratios), min(ratios), max(ratios))
    return [name, *figures, *(f"{ratio:.2f}" for ratio in spread)]


def _median_speed(speeds: Sequence[Speed]) -> float:
    return statistics.median(each.per_second for each in speeds)


def _failures(found: Mapping[str, Comparison]) -> list[str]:
    return [
        f"{name}: {speed.failures}"
        for name, comparison in found.items()
        for speed in (*comparison.application, *comparison.reference)
        if speed.failures
    ]


def ratios_of(found: Mapping[str, Comparison]) -> dict[str, float]:
    """Return the median ratio of each request."""
    return {name: round(statistics.median(each.ratios), 3) for name, each in found.items()}


def results_of(found: Mapping[str, Comparison]) -> dict[str, Any]:
    return {
        name: {
            "requests_per_second": round(_median_speed(each.application)),
            "reference": round(_median_speed(each.reference)),
            "ratios": [round(ratio, 3) for ratio in each.ratios],
        }
        for name, each in found.items()
    }


def against_baseline(ratios: Mapping[str, float], path: Path = BASELINE) -> list[str]:
    """Return a table of the ratios that the baseline has too, or nothing."""
    known: dict[str, float] = json.loads(path.read_text())["ratios"]
    rows = [
        [name, f"{known[name]:.2f}", f"{ratio:.2f}", f"{ratio / known[name] - 1:+.0%}"]
        for name, ratio in ratios.items()
        if name in known
    ]
    return [table(["ratio", "baseline", "now", "change"], rows)] if rows else []
