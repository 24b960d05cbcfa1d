"""Several processes on one database run each tick once, also if one of them is killed."""

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final

from sqlalchemy import text

from examples.catalogue.project import project
from mscr.models.base import utcnow
from mscr.testing.processes import AppProcess, app_processes
from mscr.testing.waiting import connection_to, until

APP: Final = "mscr.tests.support.ticks:app"
POLL_SECONDS: Final = "0.1"
FIND_DECADE: Final = "SELECT * FROM jobs WHERE schedule LIKE 'tests.decade%'"
HASTEN_DECADE: Final = "UPDATE jobs SET due_at = :now WHERE schedule LIKE 'tests.decade%'"


async def run_statement(url: str, statement: str, **values: Any) -> list[Any]:
    async with connection_to(url) as connection:
        result = await connection.execute(text(statement), values)
        return [*result.all()] if result.returns_rows else []


async def ticks_of(url: str) -> list[datetime]:
    rows = await run_statement(url, "SELECT operation FROM audit_events ORDER BY id")
    return [datetime.fromisoformat(row.operation) for row in rows]


async def test_four_processes_run_each_tick_once(database_url: str) -> None:
    async def has_run_some() -> bool:
        return len(await ticks_of(database_url)) >= 5

    with app_processes(project, 4, database_url, app=APP, JOBS_POLL_SECONDS=POLL_SECONDS):
        await until(has_run_some)

    ticks = await ticks_of(database_url)
    steps = [(later - tick).total_seconds() for tick, later in pairwise(ticks)]
    # A busy machine may skip a tick: those that passed meanwhile are one run.
    assert all(step >= 1 and step.is_integer() for step in steps), ticks
    assert 1 in steps, ticks
    assert all(tick.microsecond == 0 for tick in ticks)
    rows = await run_statement(database_url, "SELECT schedule FROM jobs ORDER BY schedule")
    assert [row.schedule for row in rows] == [
        "tests.decade every 3650 days, 0:00:00",
        "tests.second every 0:00:01",
    ]


async def test_a_tick_whose_process_is_killed_is_repeated_by_another_after_the_lease(
    database_url: str,
) -> None:
    """Half of the work of the killed attempt is not stored."""

    async def rows() -> list[Any]:
        return await run_statement(database_url, FIND_DECADE)

    async def hasten() -> None:
        await run_statement(database_url, HASTEN_DECADE, now=utcnow() - timedelta(seconds=1))

    async def is_added() -> bool:
        return bool(await rows())

    def gone(processes: list[AppProcess]) -> list[AppProcess]:
        return [process for process in processes if not process._process.is_alive()]

    with app_processes(
        project, 2, database_url, app=APP, JOBS_POLL_SECONDS=POLL_SECONDS
    ) as processes:
        await until(is_added)
        [row] = await rows()
        await hasten()

        async def is_killed() -> bool:
            return bool(gone(processes))

        await until(is_killed)
        assert len(gone(processes)) == 1
        await hasten()

        async def is_done() -> bool:
            return row.public_id not in {found.public_id for found in await rows()}

        await until(is_done)
        assert len(gone(processes)) == 1

    found = await run_statement(
        database_url, "SELECT * FROM audit_events WHERE reason = :id", id=row.public_id
    )
    assert len(found) == 1
