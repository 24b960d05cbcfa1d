"""Requests a second of a plain resource, beside those of a resource that is written for speed.

Both are of the catalogue: `notes` is the recipe of AGENTS.md. Each is compared with its own routes
of the reference server.
"""

from collections.abc import Mapping
from typing import Final

from benchmarks.options import Options
from benchmarks.report import Report, table
from benchmarks.requests import Requests
from benchmarks.stage import Stage
from benchmarks.throughput import (
    Comparison,
    against_baseline,
    compare,
    figures_of,
    ratios_of,
    results_of,
    title,
)

# The requests for notes, each with the request of the same kind for items.
COUNTERPARTS: Final = {"note": "item", "notes20": "list20", "create_note": "create"}


async def run(stage: Stage, options: Options) -> Report:
    requests = await Requests.of_resources(stage.port)
    found, broken = await compare(stage, requests, options, "notes")
    ratios = ratios_of({name: found[name] for name in COUNTERPARTS})
    tables = [figures_of(found), _to_items(found), *against_baseline(ratios)]
    results = {"ratios": ratios, "resource": results_of(found)}
    return Report(title("resource", options), tables, broken, results)


def _to_items(found: Mapping[str, Comparison]) -> str:
    ratios = ratios_of(found)
    rows = [
        [f"{name}, to {item}", f"{ratios[name] / ratios[item]:.2f}"]
        for name, item in COUNTERPARTS.items()
    ]
    return table(["", "ratio of the ratios"], rows)
