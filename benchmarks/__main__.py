"""Start PostgreSQL and the application, run benchmarks, print tables, and clean up.

Exits with status 1 if a promise is broken. Times and speeds are no promises.
"""

import asyncio
import json
import secrets
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from selectors import SelectSelector
from typing import Any, Final, TypeVar

from benchmarks import (
    access_log,
    conditions,
    export,
    growth,
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
from benchmarks.stage import APP, CATALOGUE, ROOT, Application, Stage, migrate, served
from mscr.testing.postgres import PostgresServer

Result = TypeVar("Result")


@dataclass(frozen=True)
class Workload:
    run: Callable[[Stage, Options], Coroutine[Any, Any, Report]]
    application: Application = APP


WORKLOADS: Final = {
    "throughput": Workload(throughput.run),
    "resource": Workload(resource.run, CATALOGUE),
    "storm": Workload(storm.run),
    "rotation": Workload(rotation.run),
    "startup": Workload(startup.run),
    "conditions": Workload(conditions.run),
    "access_log": Workload(access_log.run),
    "export": Workload(export.run, CATALOGUE),
    "lists": Workload(lists.run),
    "growth": Workload(growth.run),
}


def main(arguments: Sequence[str]) -> int:
    given = _parse(arguments)
    options = Options(**{each.name: getattr(given, each.name) for each in fields(Options)})
    cores = Cores.divide()
    print(describe(cores), flush=True)
    with PostgresServer() as postgres, _migrated(postgres, given.names) as templates:
        reports = []
        for name in given.names:
            workload = WORKLOADS[name]
            template = templates[workload.application]
            reports.append(_measure(postgres, cores, workload, template, options))
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
def _migrated(
    postgres: PostgresServer, names: Sequence[str]
) -> Iterator[Mapping[Application, str]]:
    """Migrate a template database for each application, of which each workload gets a copy."""
    applications = {WORKLOADS[name].application for name in names}
    templates = {each: f"bench_{secrets.token_hex(8)}" for each in applications}
    for application, template in templates.items():
        _run_in_loop(postgres.create_database(template))
        migrate(postgres.url(template), application)
    yield templates
    for template in templates.values():
        _run_in_loop(postgres.drop_database(template))


def _measure(
    postgres: PostgresServer, cores: Cores, workload: Workload, template: str, options: Options
) -> Report:
    """Run a workload on its own database and server, so that no workload affects the next one."""
    database = f"bench_{secrets.token_hex(8)}"
    _run_in_loop(postgres.create_database(database, template=template))
    try:
        with served(cores, postgres.url(database), workload.application.serve) as stage:
            report = _run_in_loop(workload.run(stage, options))
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
