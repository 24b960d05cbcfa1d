"""Start PostgreSQL and the application, run benchmarks, print tables, and clean up.

Exits with status 1 if a promise is broken. Times and speeds are no promises.
"""

import asyncio
import json
import secrets
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from selectors import SelectSelector
from typing import Any, Final, TypeVar

from benchmarks import (
    access_log,
    conditions,
    export,
    growth,
    jobs,
    lists,
    resource,
    rotation,
    startup,
    storm,
    throughput,
)
from benchmarks.machine import Cores, describe
from benchmarks.options import Options
from benchmarks.report import Report
from benchmarks.stage import ROOT, Stage, migrate, served
from mscr.testing.postgres import PostgresServer

Result = TypeVar("Result")


Workload = Callable[[Stage, Options], Coroutine[Any, Any, Report]]

WORKLOADS: Final[dict[str, Workload]] = {
    "throughput": throughput.run,
    "resource": resource.run,
    "storm": storm.run,
    "rotation": rotation.run,
    "startup": startup.run,
    "conditions": conditions.run,
    "access_log": access_log.run,
    "export": export.run,
    "lists": lists.run,
    "growth": growth.run,
    "jobs": jobs.run,
}


def main(arguments: Sequence[str]) -> int:
    given = _parse(arguments)
    options = Options(**{each.name: getattr(given, each.name) for each in fields(Options)})
    cores = Cores.divide()
    print(describe(cores), flush=True)
    with PostgresServer() as postgres, _migrated(postgres) as template:
        reports = [
            _measure(postgres, cores, WORKLOADS[name], template, options) for name in given.names
        ]
    write_results(reports, ROOT / options.results)
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


@contextmanager
def _migrated(postgres: PostgresServer) -> Iterator[str]:
    """Migrate a template database, of which each workload gets a copy."""
    template = f"bench_{secrets.token_hex(8)}"
    _run_in_loop(postgres.create_database(template))
    migrate(postgres.url(template))
    yield template
    _run_in_loop(postgres.drop_database(template))


def _measure(
    postgres: PostgresServer, cores: Cores, workload: Workload, template: str, options: Options
) -> Report:
    """Run a workload on its own database and server, so that no workload affects the next one."""
    database = f"bench_{secrets.token_hex(8)}"
    _run_in_loop(postgres.create_database(database, template=template))
    try:
        with served(cores, postgres.url(database)) as stage:
            report = _run_in_loop(workload(stage, options))
    finally:
        _run_in_loop(postgres.drop_database(database))
    print(f"\n{report}", flush=True)
    return report


def write_results(reports: Sequence[Report], path: Path) -> None:
    results: dict[str, dict[str, Any]] = {}
    for report in reports:
        for name, figures in report.results.items():
            # Several workloads have ratios.
            results.setdefault(name, {}).update(figures)
    if results:
        path.write_text(json.dumps(results, indent=2) + "\n")


def _run_in_loop(work: Coroutine[Any, Any, Result]) -> Result:
    # The default selector wakes up to a millisecond late. That would be measured as server time.
    loop = asyncio.SelectorEventLoop
    with asyncio.Runner(loop_factory=lambda: loop(SelectSelector())) as runner:
        return runner.run(work)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
