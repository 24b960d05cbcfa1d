"""Starts a PostgreSQL and the application, measures, prints tables, and leaves nothing behind.

Ends with status 1 when a promise is broken; how long something took is none.
"""

import asyncio
import json
import secrets
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import fields
from pathlib import Path
from selectors import SelectSelector
from typing import Any, Final, TypeVar

from benchmarks import conditions, export, growth, lists, rotation, startup, storm, throughput
from benchmarks.machine import Cores, describe
from benchmarks.options import Options
from benchmarks.report import Report
from benchmarks.stage import ROOT, Stage, migrate, served
from tests.support.postgres import PostgresServer

Workload = Callable[[Stage, Options], Coroutine[Any, Any, Report]]
Result = TypeVar("Result")

# What the databases of the workloads are copies of.
MIGRATED: Final = f"bench_{secrets.token_hex(8)}"

WORKLOADS: Final[dict[str, Workload]] = {
    "throughput": throughput.run,
    "storm": storm.run,
    "rotation": rotation.run,
    "startup": startup.run,
    "conditions": conditions.run,
    "export": export.run,
    "lists": lists.run,
    "growth": growth.run,
}


def main(arguments: Sequence[str]) -> int:
    given = _parse(arguments)
    options = Options(**{each.name: getattr(given, each.name) for each in fields(Options)})
    cores = Cores.divide()
    print(describe(cores), flush=True)
    with PostgresServer() as postgres:
        _run_in_loop(postgres.create_database(MIGRATED))
        migrate(postgres.url(MIGRATED))
        reports = [_measure(postgres, cores, name, options) for name in given.names]
        _run_in_loop(postgres.drop_database(MIGRATED))
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
    _run_in_loop(postgres.create_database(database, template=MIGRATED))
    try:
        with served(cores, postgres.url(database)) as stage:
            report = _run_in_loop(WORKLOADS[name](stage, options))
    finally:
        _run_in_loop(postgres.drop_database(database))
    print(f"\n{report}", flush=True)
    return report


def _write_results(reports: Sequence[Report], path: Path) -> None:
    results = {name: figures for report in reports for name, figures in report.results.items()}
    if results:
        path.write_text(json.dumps(results, indent=2) + "\n")


def _run_in_loop(work: Coroutine[Any, Any, Result]) -> Result:
    # The default selector wakes up to a millisecond late, which would count as the server's.
    loop = asyncio.SelectorEventLoop
    with asyncio.Runner(loop_factory=lambda: loop(SelectSelector())) as runner:
        return runner.run(work)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
