"""The cost of more rows and the gain of more processes, as tables and charts."""

import asyncio
import dataclasses
import statistics
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Final

from benchmarks import growing_rows
from benchmarks.chart import Axis, Chart, Points
from benchmarks.database import FixedRows
from benchmarks.growing_rows import Curves
from benchmarks.lists import caller_of
from benchmarks.options import Options
from benchmarks.report import Report, table
from benchmarks.requests import Requests, measure
from benchmarks.stage import ROOT, Stage, served

# Connections to all processes together, divided equally among them.
CONNECTIONS: Final = 48
REPLICATED: Final = ("me", "item", "list20", "create")
MILLISECONDS: Final = Axis("p50 in ms, on one connection", is_logarithmic=True)


async def run(stage: Stage, options: Options) -> Report:
    processes = await _of_processes(stage, options)
    token, reader = await caller_of(stage, "reader")
    items = await growing_rows.of_items(stage, token, reader, options)
    sessions = await growing_rows.of_sessions(stage, token, options)
    pages = await growing_rows.of_pages(stage, options)
    charts = {
        "items": _chart("More items", Axis("items", is_logarithmic=True), MILLISECONDS, items),
        "sessions": _chart(
            "More sessions", Axis("sessions", is_logarithmic=True), MILLISECONDS, sessions
        ),
        "pages": _chart("Larger pages", Axis("rows on a page"), MILLISECONDS, pages),
        "processes": _chart(
            "More processes on one database", Axis("processes"), Axis("requests/s"), processes
        ),
    }
    _draw(charts, options)
    title = (
        f"growth: p50 in ms on one connection, the lowest of {options.rounds} rounds of "
        f"{options.seconds:g} s; of processes the requests a second on {CONNECTIONS} connections, "
        f"the median; pictures in {options.pictures}"
    )
    tables = [_figures(name, chart.curves) for name, chart in charts.items()]
    found = (items, sessions, pages, processes)
    failures = [failure for curves in found for failure in curves.failures]
    results = {"growth": {name: chart.curves for name, chart in charts.items()}}
    return Report(title, tables, failures, results)


def _chart(title: str, x: Axis, y: Axis, found: Curves) -> Chart:
    return Chart(title, x, y, found.points)


def _draw(charts: Mapping[str, Chart], options: Options) -> None:
    folder = ROOT / options.pictures
    folder.mkdir(parents=True, exist_ok=True)
    for name, chart in charts.items():
        (folder / f"growth-{name}.svg").write_text(str(chart))


async def _of_processes(stage: Stage, options: Options) -> Curves:
    """Measure one to several processes on one database, with all cores for all processes."""
    url = stage.environment["DATABASE_URL"]
    requests = await Requests.prepare(stage.port, sessions=0)
    rows = await FixedRows.of(url)
    curves = Curves()
    with ExitStack() as servers:
        ports = [
            servers.enter_context(served(stage.cores.shared, url, beside=stage)).port
            for _ in range(options.processes)
        ]
        await requests.warm_up(*ports, seconds=options.seconds)
        await rows.restore()
        for name in REPLICATED:
            speeds: dict[int, list[float]] = {n: [] for n in range(1, options.processes + 1)}
            for _ in range(options.rounds):
                for count, found in speeds.items():
                    found.append(await _ask_all(requests, name, ports[:count], curves, options))
                    await rows.restore()
            medians = [(float(n), statistics.median(found)) for n, found in speeds.items()]
            curves.points[name] = medians
    return curves


async def _ask_all(
    requests: Requests, name: str, ports: list[int], curves: Curves, options: Options
) -> float:
    """Return the requests a second of all processes together."""
    load = dataclasses.replace(requests.loads[name], connections=CONNECTIONS // len(ports))
    speeds = await asyncio.gather(
        *(measure(load, port, seconds=options.seconds, by=options.wrk) for port in ports)
    )
    curves.failures += [f"{name}: {speed.failures}" for speed in speeds if speed.failures]
    for port in ports:
        await requests.settle(port)
    return sum(speed.per_second for speed in speeds)


def _figures(name: str, curves: Mapping[str, Points]) -> str:
    """Return a table. The last column is the ratio of the last size to the first one."""
    sizes = [f"{size:,.0f}" for size, _ in next(iter(curves.values()))]
    rows = [
        [curve, *(f"{value:.1f}" for _, value in points), f"{points[-1][1] / points[0][1]:.2f}"]
        for curve, points in curves.items()
    ]
    return table([name, *sizes, "ratio"], rows)
