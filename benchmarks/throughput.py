"""How many requests a second, beside the shortest path to the same answers, in turns."""

import json
import shutil
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks import wrk
from benchmarks.accounts import log_in, register
from benchmarks.client import Connection, encode
from benchmarks.load import CONNECTIONS, Load, Speed, measure_by_client
from benchmarks.options import Options
from benchmarks.report import Report, table
from benchmarks.rotation import refreshes_per_second
from benchmarks.stage import ROOT, Stage, served

ITEMS: Final = 200
BASELINE: Final = ROOT / "benchmarks" / "baseline.json"
REFERENCE: Final = ("uvicorn", "benchmarks.reference:app", "--no-access-log", "--no-server-header")
NEW_ITEM: Final = {"title": "Buy milk", "description": "Two litres", "status": "active"}


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
    loads = await _prepare(stage.port)
    found: dict[str, Comparison] = {name: Comparison() for name in (*loads, "refresh")}
    with served(stage.cores, stage.environment["DATABASE_URL"], REFERENCE, stage) as reference:
        for _ in range(options.rounds):
            for name, load in loads.items():
                found[name].application.append(await _ask(load, stage, options))
                found[name].reference.append(await _ask(load, reference, options))
            refresh = found["refresh"]
            refresh.application.append(await _refresh(stage, options))
            refresh.reference.append(await _refresh(reference, options, logins=stage))
    ratios = {name: statistics.median(each.ratios) for name, each in found.items()}
    write_results(ratios, ROOT / options.results)
    return Report(_title(options), [_figures(found), _against_baseline(ratios)], _failures(found))


async def _prepare(port: int) -> dict[str, Load]:
    async with Connection(port) as connection:
        email = await register(connection, "throughput")
        token = (await log_in(connection, email))["access_token"]
        create = encode("POST", "/api/v1/items", body=NEW_ITEM, token=token)
        answers = [await connection.send(create) for _ in range(ITEMS)]
    public_id = answers[0].data["public_id"]
    return {
        "me": Load("/api/v1/users/me", token),
        "item": Load(f"/api/v1/items/{public_id}", token),
        "list20": Load("/api/v1/items?per_page=20", token),
        "list100": Load("/api/v1/items?per_page=100", token),
        # Last: it makes the lists longer for everybody who comes after.
        "create": Load("/api/v1/items", token, NEW_ITEM),
    }


async def _ask(load: Load, stage: Stage, options: Options) -> Speed:
    executable = shutil.which(options.wrk)
    if executable is None:
        return await measure_by_client(load, stage.port, seconds=options.seconds)
    return wrk.measure(executable, load, stage.port, seconds=options.seconds)


async def _refresh(stage: Stage, options: Options, *, logins: Stage | None = None) -> Speed:
    """By our own client: of one session's tokens, each can be used only after the one before."""
    return await refreshes_per_second((logins or stage).port, stage.port, seconds=options.seconds)


def _title(options: Options) -> str:
    load = (
        "wrk"
        if shutil.which(options.wrk)
        else "our own client, as there is no wrk here, which costs more"
    )
    return (
        f"throughput: {options.rounds} rounds of {options.seconds:g} s on {CONNECTIONS} "
        f"connections, in turns with benchmarks/reference.py; the load is made by {load}"
    )


def _figures(found: Mapping[str, Comparison]) -> str:
    head = ["", "requests/s", "p99 ms", "reference", "p99 ms", "ratio", "lowest", "highest"]
    return table(head, [_row(name, each) for name, each in found.items()])


def _row(name: str, comparison: Comparison) -> list[str]:
    figures = []
    for speeds in (comparison.application, comparison.reference):
        figures.append(f"{statistics.median(each.per_second for each in speeds):.0f}")
        figures.append(f"{statistics.median(each.p99_ms for each in speeds):.1f}")
    ratios = comparison.ratios
    spread = (statistics.median(ratios), min(ratios), max(ratios))
    return [name, *figures, *(f"{ratio:.2f}" for ratio in spread)]


def _failures(found: Mapping[str, Comparison]) -> list[str]:
    return [
        f"{name}: {speed.failures}"
        for name, comparison in found.items()
        for speed in (*comparison.application, *comparison.reference)
        if speed.failures
    ]


def write_results(ratios: Mapping[str, float], path: Path) -> None:
    rounded = {name: round(ratio, 3) for name, ratio in ratios.items()}
    path.write_text(json.dumps({"ratios": rounded}, indent=2) + "\n")


def _against_baseline(ratios: Mapping[str, float], path: Path = BASELINE) -> str:
    known: dict[str, float] = json.loads(path.read_text())["ratios"]
    rows: Sequence[Sequence[str]] = [
        [name, f"{known[name]:.2f}", f"{ratio:.2f}", f"{ratio / known[name] - 1:+.0%}"]
        for name, ratio in ratios.items()
        if name in known
    ]
    return table(["ratio", "baseline", "now", "change"], rows)
