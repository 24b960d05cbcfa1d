"""Starts a PostgreSQL and the application, measures, prints tables, and leaves nothing behind.

Ends with status 1 when a promise is broken; how long something took is none.
"""

import asyncio
import json
import secrets
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import fields
from pathlib import Path
from selectors import SelectSelector
from typing import Final

from benchmarks import export, lists, rotation, storm, throughput
from benchmarks.machine import Cores, describe
from benchmarks.options import Options
from benchmarks.report import Report
from benchmarks.stage import ROOT, Stage, migrate, served
from tests.support.postgres import PostgresServer

Workload = Callable[[Stage, Options], Awaitable[Report]]

WORKLOADS: Final[dict[str, Workload]] = {
    "throughput": throughput.run,
    "storm": storm.run,
    "rotation": rotation.run,
    "export": export.run,
    "lists": lists.run,
}


def main(arguments: Sequence[str]) -> int:
    given = _parse(arguments)
    options = Options(**{each.name: getattr(given, each.name) for each in fields(Options)})
    cores = Cores.divide()
    print(describe(cores), flush=True)
    with PostgresServer() as postgres:
        reports = [_measure(postgres, cores, name, options) for name in given.names]
    _write_results(reports, ROOT / options.results)
    return int(any(report.broken for report in reports))


def _parse(arguments: Sequence[str]) -> Namespace:
    parser = ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(WORKLOADS)}")
    for option in fields(Options):
        name, default = f"--{option.name}", option.default
        parser.add_argument(name, type=type(default), default=default, help="default: %(default)s")
    given = parser.parse_args(arguments)
    if unknown := set(given.names) - set(WORKLOADS):
        parser.error(f"no such workload: {', '.join(sorted(unknown))}")
    given.names = given.names or list(WORKLOADS)
    return given


def _measure(postgres: PostgresServer, cores: Cores, name: str, options: Options) -> Report:
    """On a database and a server of its own, so that no workload feels the one before it."""
    database = f"bench_{secrets.token_hex(8)}"
    with _runner() as runner:
        runner.run(postgres.create_database(database))
        try:
            migrate(postgres.url(database))
            with served(cores, postgres.url(database)) as stage:
                report = runner.run(_run(WORKLOADS[name], stage, options))
        finally:
            runner.run(postgres.drop_database(database))
    print(f"\n{report}", flush=True)
    return report


def _write_results(reports: Sequence[Report], path: Path) -> None:
    results = {name: figures for report in reports for name, figures in report.results.items()}
    if results:
        path.write_text(json.dumps(results, indent=2) + "\n")


async def _run(workload: Workload, stage: Stage, options: Options) -> Report:
    return await workload(stage, options)


def _runner() -> asyncio.Runner:
    # The default selector wakes up to a millisecond late, which would count as the server's.
    return asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(SelectSelector()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
