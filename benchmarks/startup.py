"""The start-up time and memory of a worker, compared with the reference server's."""

import asyncio
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice

from benchmarks import memory
from benchmarks.client import Connection
from benchmarks.load import CONNECTIONS, SUCCESSES
from benchmarks.options import Options
from benchmarks.report import Report, table
from benchmarks.requests import Requests
from benchmarks.stage import SERVE, Stage, served
from benchmarks.throughput import REFERENCE


@dataclass(frozen=True)
class Worker:
    """The measurement of one process. `memory` is in bytes, or None if the system reports none."""

    seconds_to_start: float
    memory: int | None
    failures: int


async def run(stage: Stage, options: Options) -> Report:
    """In each round, start the application and the reference in turn, and send requests."""
    requests = await Requests.prepare(stage.port, sessions=0)
    found: dict[str, list[Worker]] = {"application": [], "reference": []}
    for _ in range(options.rounds):
        for workers, module in zip(found.values(), (SERVE, REFERENCE), strict=True):
            with served(stage.cores, stage.environment["DATABASE_URL"], module, stage) as worker:
                failures = await _work(requests, worker.port, options.requests)
                resident = memory.resident(worker.process_id)
                workers.append(Worker(worker.seconds_to_start, resident, failures))
    title = (
        f"startup: {options.rounds} rounds; from the start of a process to its first 200, and its "
        f"memory after {options.requests} requests of all kinds but refreshes"
    )
    results = {"startup": {name: _result(workers) for name, workers in found.items()}}
    broken = [
        f"{name}: {failures} were no success"
        for name, workers in found.items()
        if (failures := sum(worker.failures for worker in workers))
    ]
    return Report(title, [_figures(found)], broken, results)


async def _work(requests: Requests, port: int, count: int) -> int:
    """Send `count` requests, equally many of each kind. Return how many failed."""
    encoded = islice(cycle([load.request for load in requests.loads.values()]), count)
    failed = await asyncio.gather(*(_ask_each(encoded, port) for _ in range(CONNECTIONS)))
    return sum(failed)


async def _ask_each(requests: Iterator[bytes], port: int) -> int:
    """Send the requests of the iterator, which all connections share. Return how many failed."""
    async with Connection(port) as connection:
        return sum([(await connection.send(each)).status not in SUCCESSES for each in requests])


def _figures(found: Mapping[str, Sequence[Worker]]) -> str:
    rows = []
    for name, workers in found.items():
        times = [worker.seconds_to_start for worker in workers]
        figures = [f"{each:.2f}" for each in (statistics.median(times), min(times), max(times))]
        size = _median_memory(workers)
        rows.append([name, *figures, "-" if size is None else f"{size:.1f}"])
    return table(["", "s to start", "lowest", "highest", "MB"], rows)


def _result(workers: Sequence[Worker]) -> dict[str, float | None]:
    seconds = statistics.median(worker.seconds_to_start for worker in workers)
    return {"seconds_to_start": round(seconds, 2), "megabytes": _median_memory(workers)}


def _median_memory(workers: Sequence[Worker]) -> float | None:
    sizes = [worker.memory for worker in workers if worker.memory is not None]
    return round(statistics.median(sizes) / memory.MEGABYTE, 1) if sizes else None
