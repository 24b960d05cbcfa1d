"""A schedule runs a job once per tick, whatever the number of processes, and never ends."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta, timezone
from typing import Any, Final

import pytest
from fastapi import FastAPI
from pydantic import BaseModel, SecretStr
from sqlalchemy import select, text, update

from mscr.db.session import Database
from mscr.jobs.job import AnyJob, Job, JobRefusedError, NoData, Work
from mscr.jobs.mails import SEND_MAIL
from mscr.jobs.outbox import Outbox
from mscr.jobs.runner import JobRunner
from mscr.jobs.schedule import Schedule, daily, every
from mscr.mail.message import Mail
from mscr.models.base import utcnow
from mscr.models.job import MAX_NAME_LENGTH, MAX_SCHEDULE_LENGTH, JobMixin
from mscr.repositories.job_repository import JobRepository
from mscr.testing.databases import on_sqlite
from mscr.testing.waiting import until
from mscr.tests.jobs.bench import LONG

NAME: Final = "tests.tick"
HOUR: Final = timedelta(hours=1)
# No tick comes in the middle of a test.
DECADE: Final = timedelta(days=3650)


@dataclass
class Clockwork:
    """Runs the schedules of a test, and records their ticks."""

    app: FastAPI
    database: Database
    ticks: list[datetime | None] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    may_end: asyncio.Event = field(default_factory=asyncio.Event)
    error: Exception | None = None
    mails: bool = False

    def __post_init__(self) -> None:
        self.may_end.set()
        self.job: AnyJob = Job(NAME, NoData, self._run)

    async def _run(self, _: NoData, work: Work) -> None:
        self.ids.append(work.id)
        self.begun.set()
        if self.mails:
            await work.outbox.add_mail(Mail("ada@example.com", "Summary", str(work.tick)))
        await self.may_end.wait()
        if self.error is not None:
            raise self.error
        self.ticks.append(work.tick)

    def runner(self, *schedules: Schedule, jobs: tuple[AnyJob, ...] = ()) -> JobRunner:
        return JobRunner(jobs, self.app.state.collaborators, self.database, schedules)

    @asynccontextmanager
    async def running(self, *schedules: Schedule) -> AsyncIterator[JobRunner]:
        runner = self.runner(*schedules or [every(DECADE, self.job)])
        try:
            yield runner
        finally:
            self.may_end.set()
            await runner.close(within=LONG)

    async def rows(self) -> list[JobMixin]:
        async with self.database.read_sessions() as session:
            job = self.database.tables.job
            return [*await session.scalars(select(job).order_by(job.id))]

    async def row(self) -> JobMixin:
        [found] = await self.rows()
        return found

    async def set_all(self, **values: Any) -> None:
        async with self.database.sessions() as session:
            await session.execute(update(self.database.tables.job).values(**values))
            await session.commit()

    async def end_leases(self) -> None:
        await self.set_all(due_at=utcnow() - timedelta(seconds=1))


@pytest.fixture
def clock(app: FastAPI, database: Database) -> Clockwork:
    return Clockwork(app, database)


async def poll(runner: JobRunner) -> None:
    """Look for jobs as the runner does from time to time."""
    runner._may_lack_rows = True
    await runner.join()


# --- ticks


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        (timedelta(minutes=10), "2026-12-02 03:40:00"),
        (HOUR, "2026-12-02 03:00:00"),
        (timedelta(hours=6), "2026-12-02 00:00:00"),
        (timedelta(days=1), "2026-12-02 00:00:00"),
    ],
)
def test_ticks_are_multiples_of_the_interval_in_utc(
    clock: Clockwork, interval: timedelta, expected: str
) -> None:
    schedule = every(interval, clock.job)
    now = datetime(2026, 12, 2, 3, 47, 11, 5, tzinfo=UTC)
    tick = datetime.fromisoformat(f"{expected}+00:00")

    assert schedule.newest(now) == tick
    assert schedule.newest(tick) == tick
    assert schedule.newest(tick - timedelta(microseconds=1)) == tick - interval


@on_sqlite
def test_a_daily_tick_is_at_its_time_in_utc(clock: Clockwork) -> None:
    schedule = daily(clock.job, at=time(3, 30))

    before = datetime(2026, 12, 2, 3, 29, 59, tzinfo=UTC)
    assert schedule.newest(before) == datetime(2026, 12, 1, 3, 30, tzinfo=UTC)
    after = before + timedelta(seconds=1)
    assert schedule.newest(after) == datetime(2026, 12, 2, 3, 30, tzinfo=UTC)
    assert daily(clock.job, at=time(3, 30, tzinfo=UTC)) == schedule


@on_sqlite
def test_the_newest_of_several_ticks_that_passed_follows(clock: Clockwork) -> None:
    schedule = every(HOUR, clock.job)
    tick = datetime(2026, 12, 2, 3, tzinfo=UTC)

    assert schedule.following(tick, tick + HOUR / 2) == tick + HOUR
    assert schedule.following(tick, tick + 3.5 * HOUR) == tick + 3 * HOUR
    # A clock that was set back.
    assert schedule.following(tick, tick - 2 * HOUR) == tick + HOUR


# --- runs


async def test_the_first_poll_adds_a_row_that_is_due_at_the_next_tick(clock: Clockwork) -> None:
    async with clock.running() as runner:
        await runner.join()
        assert await clock.rows() == []
        await poll(runner)
        await poll(runner)

    row = await clock.row()
    schedule = every(DECADE, clock.job)
    assert row.due_at == schedule.newest(utcnow()) + DECADE
    assert (row.schedule, row.attempts, clock.ticks) == (schedule.name, 0, [])


async def test_a_tick_runs_once_and_the_next_one_waits(clock: Clockwork) -> None:
    async with clock.running() as runner:
        await poll(runner)
        tick = (await clock.row()).due_at - DECADE
        await clock.set_all(due_at=tick, gives_up_at=tick + DECADE)
        await runner.join()
        await runner.join()

    row = await clock.row()
    assert clock.ticks == [tick]
    assert (row.due_at, row.attempts, row.fault) == (tick + DECADE, 0, None)
    assert clock.ids != [row.public_id]


@pytest.mark.settings(JOBS_POLL_SECONDS=0.1)
async def test_processes_that_start_at_once_add_one_row(clock: Clockwork) -> None:
    schedule = every(DECADE, clock.job)
    runners = [clock.runner(schedule) for _ in range(4)]
    for runner in runners:
        runner.start()

    async def is_added() -> bool:
        return len(await clock.rows()) == 1 and not any(r._may_lack_rows for r in runners)

    await until(is_added)
    await asyncio.gather(*map(poll, runners))
    for runner in runners:
        await runner.close(within=LONG)

    assert len(await clock.rows()) == 1


async def test_a_row_that_another_process_adds_at_the_same_time_is_left_alone(
    clock: Clockwork,
) -> None:
    schedule = every(DECADE, clock.job)
    timetables = [clock.runner(schedule)._timetable for _ in range(3)]
    # Each finds no row before the first has added one.
    await asyncio.gather(*(timetable.add_missing() for timetable in timetables))

    assert len(await clock.rows()) == 1


async def test_ticks_that_passed_while_nobody_ran_jobs_are_one_run(
    clock: Clockwork, log_output: io.StringIO
) -> None:
    async with clock.running() as runner:
        await poll(runner)
        row = await clock.row()
        first_id, newest = row.public_id, row.due_at - DECADE
        await clock.set_all(due_at=newest - 2 * DECADE, gives_up_at=newest - DECADE)
        await runner.join()

    assert clock.ticks == [newest]
    assert (await clock.row()).due_at == newest + DECADE
    assert clock.ids != [first_id]
    assert "ticks_missed" in log_output.getvalue()


async def test_a_schedule_runs_for_a_test_at_once(clock: Clockwork) -> None:
    schedules = [every(DECADE, clock.job), every(2 * DECADE, clock.job)]
    async with clock.running(*schedules) as runner:
        await runner.run_now(clock.job)
        await runner.run_now(clock.job)

    newest = [schedule.newest(utcnow()) for schedule in schedules]
    assert sorted(filter(None, clock.ticks)) == sorted(newest * 2)
    assert len(await clock.rows()) == 2


@on_sqlite
async def test_a_job_without_a_schedule_cannot_run_for_a_test(clock: Clockwork) -> None:
    async with clock.running() as runner:
        with pytest.raises(ValueError, match=r"mscr\.send_mail has no schedule"):
            await runner.run_now(SEND_MAIL)


@pytest.mark.settings(LOG_JSON=True)
async def test_a_scheduled_job_sends_mails_if_it_succeeds(
    clock: Clockwork, log_output: io.StringIO
) -> None:
    clock.mails, clock.error = True, ConnectionError()
    async with clock.running() as runner:
        await runner.run_now(clock.job)
        assert "mail_sent" not in log_output.getvalue()
        clock.error = None
        await runner.run_now(clock.job)

    assert log_output.getvalue().count("mail_sent") == 1
    assert len(await clock.rows()) == 1


async def test_a_job_that_was_added_has_no_tick(clock: Clockwork) -> None:
    async with clock.running() as runner:
        await runner.run_now(clock.job)
        async with clock.database.sessions() as session:
            repo = JobRepository(session, clock.database.tables)
            outbox = Outbox(repo, clock.app.state.collaborators.encryption)
            await outbox.add(clock.job, NoData())
            await session.commit()
        await runner.join()

    assert [tick is None for tick in clock.ticks] == [False, True]


# --- failures


async def test_a_failed_tick_is_retried_with_the_same_id(clock: Clockwork) -> None:
    clock.error = ConnectionError()
    async with clock.running() as runner:
        await runner.run_now(clock.job)
        row = await clock.row()
        assert (row.attempts, row.fault, row.dead_at) == (1, "ConnectionError", None)
        tick = row.gives_up_at - DECADE
        assert timedelta(0) < row.due_at - utcnow() < timedelta(seconds=10)

        clock.error = None
        await clock.end_leases()
        await runner.join()

    assert clock.ids == clock.ids[:1] * 2
    assert clock.ticks == [tick]
    assert (await clock.row()).fault is None


async def test_a_tick_that_fails_until_the_next_one_waits_for_it(
    clock: Clockwork, log_output: io.StringIO
) -> None:
    clock.error = ConnectionError("away: secret")
    # A retry would come after the next tick.
    async with clock.running(every(timedelta(seconds=1), clock.job)) as runner:
        await runner.run_now(clock.job)

    row = await clock.row()
    assert (row.attempts, row.fault, row.dead_at) == (0, "ConnectionError", None)
    assert row.gives_up_at - row.due_at == timedelta(seconds=1)
    assert row.public_id not in clock.ids
    assert "tick_failed" in log_output.getvalue()
    assert "secret" not in log_output.getvalue()


async def test_a_refused_tick_waits_for_the_next_one(
    clock: Clockwork, log_output: io.StringIO
) -> None:
    clock.error = JobRefusedError()
    async with clock.running() as runner:
        await runner.run_now(clock.job)

    row = await clock.row()
    assert row.due_at > utcnow()
    assert (row.attempts, row.dead_at) == (0, None)
    assert "tick_failed" in log_output.getvalue()


async def test_a_tick_whose_processes_die_at_each_attempt_does_not_block_the_next(
    clock: Clockwork,
) -> None:
    async with clock.running() as runner:
        await poll(runner)
        row = await clock.row()
        old_id, newest = row.public_id, row.due_at - DECADE
        past = {"due_at": newest - DECADE, "gives_up_at": newest}
        await clock.set_all(**past, attempts=7)
        await runner.join()

    assert clock.ticks == [newest]
    assert old_id not in clock.ids


async def test_a_tick_that_is_interrupted_by_a_shutdown_is_due_at_once(clock: Clockwork) -> None:
    clock.may_end.clear()
    runner = clock.runner(every(DECADE, clock.job))
    await runner._timetable.restart(clock.job)
    runner.wake()
    await clock.begun.wait()
    await runner.close(within=timedelta(0))

    row = await clock.row()
    assert (row.due_at <= utcnow(), [row.public_id]) == (True, clock.ids)


async def test_an_attempt_that_outlived_its_tick_does_not_end_a_later_one(
    clock: Clockwork, log_output: io.StringIO
) -> None:
    """Fencing: attempts begin anew at each tick, so the id is a part of the token."""
    schedule = every(DECADE, clock.job)
    late, other = clock.runner(schedule), clock.runner(schedule)
    clock.may_end.clear()
    await late._timetable.restart(clock.job)
    late.wake()
    await clock.begun.wait()
    released, clock.may_end = clock.may_end, asyncio.Event()
    # Another process does that tick, and is at the first attempt of the next one.
    clock.may_end.set()
    await clock.end_leases()
    await other.join()
    clock.may_end, clock.begun = asyncio.Event(), asyncio.Event()
    await clock.end_leases()
    other.wake()
    await clock.begun.wait()
    row = await clock.row()

    released.set()
    await asyncio.wait({*late._running})

    assert "job_lease_lost" in log_output.getvalue()
    assert row.attempts == 1
    assert ((await clock.row()).public_id, (await clock.row()).due_at) == (
        row.public_id,
        row.due_at,
    )
    clock.may_end.set()
    await other.join()
    for runner in (late, other):
        await runner.close(within=LONG)


# --- two releases


async def test_a_changed_time_is_another_schedule_and_the_old_one_no_longer_runs(
    clock: Clockwork,
) -> None:
    """Both run while the releases run side by side; then, nobody runs the old row."""
    async with clock.running(every(DECADE, clock.job)) as runner:
        await poll(runner)
    await clock.end_leases()

    async with clock.running(every(2 * DECADE, clock.job)) as runner:
        await poll(runner)

    old, new = await clock.rows()
    assert (old.schedule, old.attempts) == (every(DECADE, clock.job).name, 0)
    assert (new.schedule, new.attempts) == (every(2 * DECADE, clock.job).name, 0)
    assert clock.ticks == []


async def test_a_removed_schedule_stops_although_its_job_is_still_known(clock: Clockwork) -> None:
    async with clock.running() as runner:
        await poll(runner)
    await clock.end_leases()

    runner = clock.runner(jobs=(clock.job,))
    await poll(runner)
    await runner.close(within=LONG)

    assert (clock.ticks, (await clock.row()).attempts) == ([], 0)


async def test_the_row_of_a_schedule_that_nobody_runs_is_deleted_later(clock: Clockwork) -> None:
    async with clock.running() as runner:
        await poll(runner)

    async def deleted(**age: float) -> int:
        await clock.set_all(due_at=utcnow() - timedelta(days=37, **age))
        async with clock.database.sessions() as session:
            repo = JobRepository(session, clock.database.tables)
            count = await repo.delete_dead(before=utcnow() - timedelta(days=30), batch=10)
            await session.commit()
            return count

    assert await deleted(hours=-1) == 0
    assert await deleted(hours=1) == 1


async def test_a_row_that_was_deleted_is_added_again(clock: Clockwork) -> None:
    async with clock.running() as runner:
        await poll(runner)
        async with clock.database.sessions() as session:
            await session.execute(text("DELETE FROM jobs"))
            await session.commit()
        await poll(runner)

    assert len(await clock.rows()) == 1


@on_sqlite
async def test_a_database_that_is_away_gets_its_rows_later(
    clock: Clockwork, log_output: io.StringIO
) -> None:
    async def rename(old: str, new: str) -> None:
        async with clock.database.sessions() as session:
            await session.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))
            await session.commit()

    async with clock.running() as runner:
        await rename("jobs", "away")
        await poll(runner)
        assert "jobs_not_claimed" in log_output.getvalue()
        await rename("away", "jobs")
        await runner.join()

    assert len(await clock.rows()) == 1


# --- declarations


class Named(BaseModel):
    name: str


class Secret(BaseModel):
    token: SecretStr = SecretStr("s3cret")


@on_sqlite
def test_the_longest_name_fits_into_its_column(clock: Clockwork) -> None:
    longest = timedelta.max - timedelta(microseconds=1)

    assert len(every(longest, clock.job).rule) < MAX_SCHEDULE_LENGTH - MAX_NAME_LENGTH
    assert len(daily(clock.job, at=time.max).rule) < MAX_SCHEDULE_LENGTH - MAX_NAME_LENGTH


@on_sqlite
def test_a_schedule_that_cannot_run_is_refused(clock: Clockwork) -> None:
    async def run(_: Any, __: Work) -> None: ...

    with pytest.raises(ValueError, match="the shortest interval is 0:00:01"):
        every(timedelta(seconds=0.5), clock.job)
    with pytest.raises(ValueError, match="a field of Named has no default"):
        every(DECADE, Job(NAME, Named, run))
    with pytest.raises(ValueError, match="in UTC"):
        daily(clock.job, at=time(3, tzinfo=timezone(HOUR)))
    with pytest.raises(ValueError, match=f"two schedules are {NAME} every 3650 days"):
        clock.runner(every(DECADE, clock.job), every(DECADE, clock.job))
    with pytest.raises(ValueError, match="SecretStr"):
        clock.runner(every(DECADE, Job(NAME, Secret, run)))
    with pytest.raises(ValueError, match=f"two jobs have the name {NAME}"):
        clock.runner(every(DECADE, clock.job), every(2 * DECADE, Job(NAME, NoData, run)))
