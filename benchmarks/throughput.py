"""How many requests a second, beside the shortest path to the same answers, in turns."""

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
    """What both did in each round, in the order in which they took turns."""

    application: list[Speed] = field(default_factory=list)
    reference: list[Speed] = field(default_factory=list)

    @property
    def ratios(self) -> list[float]:
        pairs = zip(self.application, self.reference, strict=True)
        return [ours.per_second / theirs.per_second for ours, theirs in pairs]


async def run(stage: Stage, options: Options) -> Report:
    database_url = stage.environment["DATABASE_URL"]
    requests = await Requests.prepare(stage.port)
    found = {name: Comparison() for name in requests.names}
    with served(stage.cores, database_url, REFERENCE, stage) as reference:
        rows = await FixedRows.of(database_url)
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
                    # Or lists and totals would grow with what was created, and differ.
                    await rows.restore()
    return _report(found, different, options)


async def _differences(requests: Requests, application: int, reference: int) -> list[str]:
    """An answer that is another one may be faster, and says nothing."""
    ours, theirs = await requests.answers(application), await requests.answers(reference)
    return [f"{name} is answered in two ways" for name in ours if ours[name] != theirs[name]]


def _report(found: Mapping[str, Comparison], different: Sequence[str], options: Options) -> Report:
    title = (
        f"throughput: {options.rounds} rounds of {options.seconds:g} s on {CONNECTIONS} "
        f"connections, in turns with benchmarks/reference.py; {load_is_made_by(options.wrk)}"
    )
    results = _results(found)
    tables = [_figures(found), *_against_baseline(results["ratios"])]
    return Report(title, tables, [*different, *_failures(found)], results)


def _figures(found: Mapping[str, Comparison]) -> str:
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


def _results(found: Mapping[str, Comparison]) -> dict[str, Any]:
    return {
        "ratios": {name: round(statistics.median(each.ratios), 3) for name, each in found.items()},
        "throughput": {
            name: {
                "requests_per_second": round(_median_speed(each.application)),
                "reference": round(_median_speed(each.reference)),
                "ratios": [round(ratio, 3) for ratio in each.ratios],
            }
            for name, each in found.items()
        },
    }


def _against_baseline(ratios: Mapping[str, float], path: Path = BASELINE) -> list[str]:
    """A table, if the baseline has figures of the same."""
    known: dict[str, float] = json.loads(path.read_text())["ratios"]
    rows = [
        [name, f"{known[name]:.2f}", f"{ratio:.2f}", f"{ratio / known[name] - 1:+.0%}"]
        for name, ratio in ratios.items()
        if name in known
    ]
    return [table(["ratio", "baseline", "now", "change"], rows)] if rows else []
