"""The outbox: jobs a second, what a job costs the request that adds it, and both with a backlog."""

import asyncio
import dataclasses
import json
import statistics
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final, Self

from redis.asyncio import Redis
from sqlalchemy import text

from benchmarks.database import connected
from benchmarks.lists import another_database, caller_of
from benchmarks.load import CONNECTIONS, Load, Speed
from benchmarks.options import Options
from benchmarks.report import Report, table
from benchmarks.requests import NEW_NOTE, WARM_UP, load_is_made_by, measure, settle
from benchmarks.stage import ROOT, Stage, migrate, served
from mscr.testing.valkey import ValkeyServer
from mscr.testing.waiting import until

SERVER: Final = ("uvicorn", "benchmarks.job_app:app", "--no-access-log", "--no-server-header")
WITHOUT: Final = "/api/v1/noted/without-job"
WITH: Final = "/api/v1/noted/with-job"
ALONE: Final = "1 process"
IN_TWO: Final = "2 processes"
BY_ENGINE: Final = "2 processes, by the engine"
READY: Final = b"ready\n"
BACKLOG: Final = ", with the backlog"

_ADD_BACKLOG: Final = text("""
INSERT INTO jobs (public_id, name, data, due_at, gives_up_at, dead_at)
SELECT CAST(gen_random_uuid() AS text), 'benchmarks.nothing', repeat('x', 200),
       now() + interval '1 day', now() + interval '2 days', CASE WHEN n % 2 = 0 THEN now() END
FROM generate_series(1, CAST(:count AS integer)) AS n
""")
# Jobs that are due or leased: those of the backlog wait for a day.
_CURRENT: Final = "FROM jobs WHERE due_at < now() + interval '1 hour' AND dead_at IS NULL"
_COUNT_CURRENT: Final = text(f"SELECT count(*) {_CURRENT}")
_RESTORE: Final = ("DELETE FROM notes", f"DELETE {_CURRENT}", "VACUUM ANALYZE notes, jobs")


@dataclass
class Place:
    """A database, with or without a backlog, and what was measured on it."""

    url: str
    stage: Stage
    # Jobs a second in each round, by the number of processes.
    speeds: dict[str, list[float]] = field(
        default_factory=lambda: {ALONE: [], IN_TWO: [], BY_ENGINE: []}
    )

    @classmethod
    async def of(cls, stage: Stage, backlog: int) -> Self:
        url = stage.environment["DATABASE_URL"]
        async with connected(url) as connection:
            await connection.execute(_ADD_BACKLOG, {"count": backlog})
            await connection.commit()
        place = cls(url, stage)
        await place.restore()
        return place

    async def restore(self) -> None:
        """Delete the rows that were added, and update the planner's statistics."""
        async with connected(self.url, isolation_level="AUTOCOMMIT") as connection:
            for statement in _RESTORE:
                await connection.execute(text(statement))

    async def settle(self) -> None:
        """Wait until no job runs or is due. Raises `AssertionError` after a minute."""
        async with connected(self.url, isolation_level="AUTOCOMMIT") as connection:

            async def is_settled() -> bool:
                return not await connection.scalar(_COUNT_CURRENT)

            await until(is_settled)

    async def run_jobs(self, name: str, count: int, store: str) -> None:
        """Add jobs, and run them in one process or in two. `store` is that of the engine."""
        engine = {"JOBS_ENGINE_URL": store} if name == BY_ENGINE else {}
        async with Redis.from_url(store) as client:
            await client.flushdb()
        adding = await _start(self.stage, "add", str(count), **engine)
        await adding.communicate()
        processes = [
            await _start(self.stage, "run", **engine) for _ in range(1 if name == ALONE else 2)
        ]
        for process in processes:
            if name == ALONE:
                self.stage.cores.give_server_core(process.pid)
            else:
                self.stage.cores.shared.give_server_core(process.pid)
            # Behind lines of the log.
            while await _output(process).readline() != READY:
                pass
        found = await asyncio.gather(*(process.communicate(b"\n") for process in processes))
        # Among lines of the log.
        times = [
            json.loads(line)
            for output, _ in found
            for line in output.splitlines()
            if line.startswith(b'{"began"')
        ]
        took = max(each["ended"] for each in times) - min(each["began"] for each in times)
        self.speeds[name].append(count / took)
        await self.restore()


@dataclass
class Cost:
    """A server of a place, and the speeds of both requests in each round."""

    place: Place
    server: Stage
    token: str
    runs_jobs: bool
    without: list[Speed] = field(default_factory=list)
    added: list[Speed] = field(default_factory=list)

    async def ask(self, options: Options) -> None:
        for path, speeds in ((WITHOUT, self.without), (WITH, self.added)):
            speeds.append(await self._measure(path, options.seconds, options.wrk))

    async def warm_up(self, options: Options) -> None:
        for path in (WITHOUT, WITH):
            await self._measure(path, options.seconds * WARM_UP, options.wrk)

    async def _measure(self, path: str, seconds: float, wrk: str) -> Speed:
        load = Load(path, self.token, NEW_NOTE)
        speed = await measure(load, self.server.port, seconds=seconds, by=wrk)
        # A request that ends after `restore` would leave a due job that wakes no server.
        await settle(Load(WITHOUT, self.token, NEW_NOTE), self.server.port)
        if self.runs_jobs:
            await self.place.settle()
        await self.place.restore()
        return speed

    @property
    def costs(self) -> list[float]:
        """Return how many times as long the request takes with a job, for each round."""
        pairs = zip(self.without, self.added, strict=True)
        return [without.per_second / added.per_second for without, added in pairs]


async def run(stage: Stage, options: Options) -> Report:
    backlog = options.items // 5
    async with another_database(stage) as url:
        migrate(url)
        environment = {**stage.environment, "DATABASE_URL": url}
        other = dataclasses.replace(stage, environment=environment)
        places = {"": await Place.of(stage, 0), BACKLOG: await Place.of(other, backlog)}
        with ExitStack() as servers:
            costs = {
                f"{name}{suffix}": await _serve(servers, place, runs_jobs=runs_jobs)
                for suffix, place in places.items()
                for name, runs_jobs in (("added", False), ("added and run", True))
            }
            for cost in costs.values():
                await cost.warm_up(options)
            for _ in range(options.rounds):
                for cost in costs.values():
                    await cost.ask(options)
        with ValkeyServer() as valkey:
            for _ in range(options.rounds):
                for name in (ALONE, IN_TWO, BY_ENGINE):
                    for place in places.values():
                        await place.run_jobs(name, options.requests, valkey.url)
    title = (
        f"jobs: {options.rounds} rounds; {options.requests} jobs, and requests for "
        f"{options.seconds:g} s on {CONNECTIONS} connections; backlog: {backlog // 2} jobs that "
        f"wait, as many that are dead; {load_is_made_by(options.wrk)}"
    )
    tables = [_speeds(places), _costs(costs)]
    return Report(title, tables, _failures(costs), {"jobs": _results(places, costs)})


async def _serve(servers: ExitStack, place: Place, *, runs_jobs: bool) -> Cost:
    stage = place.stage
    # No server looks for the jobs of another one.
    settings = {"JOBS_IN_PROCESS": str(runs_jobs), "JOBS_POLL_SECONDS": "3600"}
    server = servers.enter_context(served(stage.cores, place.url, SERVER, beside=stage, **settings))
    token, _ = await caller_of(server, f"jobs-{runs_jobs}")
    return Cost(place, server, token, runs_jobs)


async def _start(stage: Stage, *arguments: str, **settings: str) -> Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.job_app", *arguments),
        cwd=ROOT,
        # It looks for jobs only at the given moment.
        env={
            **stage.environment,
            "JOBS_IN_PROCESS": "false",
            "JOBS_POLL_SECONDS": "3600",
            **settings,
        },
        stdin=PIPE,
        stdout=PIPE,
    )


def _output(process: Process) -> asyncio.StreamReader:
    if process.stdout is None:
        raise TypeError("its output is a pipe")
    return process.stdout


def _speeds(places: Mapping[str, Place]) -> str:
    """Return the table of jobs a second. `ratio` is that of the speeds without the backlog."""
    rows = []
    for suffix, place in places.items():
        for name, speeds in place.speeds.items():
            ratios = _ratios(places[""].speeds[name], speeds)
            rows.append([f"{name}{suffix}", f"{statistics.median(speeds):.0f}", *_spread(ratios)])
    return table(["", "jobs/s", "slower by", "lowest", "highest"], rows)


def _costs(costs: Mapping[str, Cost]) -> str:
    rows = []
    for name, cost in costs.items():
        usual = costs[name.removesuffix(BACKLOG)]
        slower = _ratios(*([each.per_second for each in of.added] for of in (usual, cost)))
        speeds = [
            f"{statistics.median(each.per_second for each in speeds):.0f}"
            for speeds in (cost.without, cost.added)
        ]
        rows.append([name, *speeds, *_spread(cost.costs), *_spread(slower)])
    spread = ["lowest", "highest"]
    return table(["", "requests/s", "with a job", "cost", *spread, "slower by", *spread], rows)


def _ratios(usual: Sequence[float], others: Sequence[float]) -> list[float]:
    return [one / other for one, other in zip(usual, others, strict=True)]


def _spread(ratios: Sequence[float]) -> list[str]:
    return [f"{each:.2f}" for each in (statistics.median(ratios), min(ratios), max(ratios))]


def _failures(costs: Mapping[str, Cost]) -> list[str]:
    return [
        f"{name}: {speed.failures}"
        for name, cost in costs.items()
        for speed in (*cost.without, *cost.added)
        if speed.failures
    ]


def _results(places: Mapping[str, Place], costs: Mapping[str, Cost]) -> dict[str, float]:
    """Return the median jobs a second, costs, and slowdowns by the backlog."""
    usual, backlogged = places[""], places[BACKLOG]
    slower = {
        f"{name}{BACKLOG}": _ratios(usual.speeds[name], backlogged.speeds[name])
        for name in usual.speeds
    }
    found = {
        **{f"jobs/s, {name}": speeds for name, speeds in usual.speeds.items()},
        **{f"slower by, {name}": ratios for name, ratios in slower.items()},
        **{f"cost, {name}": cost.costs for name, cost in costs.items()},
    }
    return {name: round(statistics.median(values), 3) for name, values in found.items()}
