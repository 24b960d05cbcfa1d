"""Runs the jobs of the outbox, in each process that serves or works (at least once)."""

import asyncio
import contextvars
import random
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from mscr.connections.backing_services import DATABASE, log_fields
from mscr.core.config import Settings
from mscr.core.security.encryption import EncryptionService
from mscr.core.shutdown import CANCELLING_TIME, end_tasks
from mscr.db.session import Database
from mscr.jobs.job import AnyJob, JobRefusedError, Work
from mscr.jobs.mails import SEND_MAIL
from mscr.jobs.outbox import Outbox
from mscr.jobs.schedule import Schedule
from mscr.jobs.timetable import Timetable
from mscr.models.base import encryption_context, utcnow
from mscr.models.job import MAX_FAULT_LENGTH
from mscr.repositories.job_repository import JobRepository

if TYPE_CHECKING:
    from mscr.jobs.engine import Engine

log = structlog.get_logger(__name__)

# A lease outlasts the time limit by this: clocks of machines differ, and a busy event loop is late.
LEASE_MARGIN: Final = timedelta(seconds=30)
FIRST_RETRY: Final = timedelta(seconds=5)
LONGEST_WAIT: Final = timedelta(hours=1)

# Names the tasks of the runner: tests leave its statements out of those of a request.
TASK_NAME: Final = "mscr.jobs"


class Parts(Protocol):
    """The part of the `Collaborators` that the runner itself needs."""

    @property
    def settings(self) -> Settings: ...
    @property
    def encryption(self) -> EncryptionService: ...


class LeaseLostError(Exception):
    """The job was claimed again: this attempt took longer than its lease."""


class TooLateError(Exception):
    """The patience ended long before this attempt: processes were away, or died at each attempt."""


class TicksMissedError(Exception):
    """The next tick has come: nobody ran jobs, or processes died at each attempt.

    The newest tick runs under an id of its own: an attempt at the old one may have done half.
    """

    def __init__(self, schedule: Schedule, newest: datetime) -> None:
        super().__init__()
        self.schedule = schedule
        self.newest = newest


class JobRunner:
    """The jobs that this process runs.

    `wake` looks for jobs at once, and `start` also at regular times: for those of processes that
    have died, and for retries.
    """

    def __init__(
        self,
        jobs: Iterable[AnyJob],
        collaborators: Parts,
        database: Database,
        schedules: Sequence[Schedule] = (),
    ) -> None:
        """Raise `ValueError` if two jobs share a name, or two schedules are equal.

        The jobs of the schedules need not be among `jobs`.
        """
        self._jobs: dict[str, AnyJob] = {}
        for job in (SEND_MAIL, *jobs, *(schedule.job for schedule in schedules)):
            if self._jobs.setdefault(job.name, job) is not job:
                raise ValueError(f"two jobs have the name {job.name}")
        self._collaborators = collaborators
        self._database = database
        self._timetable = Timetable(schedules, collaborators.encryption, database)
        self._may_lack_rows = False
        self._lease = max(job.time_limit for job in self._jobs.values()) + LEASE_MARGIN
        self._urgent = {job.name for job in self._jobs.values() if job.is_urgent}
        self._slots = collaborators.settings.JOBS_MAX_RUNNING
        self._running: set[asyncio.Task[None]] = set()
        self._claiming: asyncio.Task[None] | None = None
        self._polling: asyncio.Task[None] | None = None
        self._is_stale = False
        self._is_closed = False
        self._engine: Engine | None = None
        url = collaborators.settings.JOBS_ENGINE_URL
        if url is not None:
            # Imported late: it loads TaskIQ, which nothing else needs.
            from mscr.jobs import engine  # noqa: PLC0415

            self._engine = engine.Engine(
                url.get_secret_value(), self.run_one, slots=self._slots, lease=self._lease
            )

    def start(self) -> None:
        """Look for jobs from time to time. A start needs no database."""
        self._polling = _detached(self._poll())
        if self._engine is not None:
            self._engine.receive()

    def hand_over(self, ids: Collection[str]) -> None:
        """Have these jobs run. Call it after the commit that has added them."""
        if self._engine is not None:
            if ids:
                self._engine.send(ids)
        elif self._collaborators.settings.JOBS_IN_PROCESS:
            self.wake()

    def wake(self) -> None:
        """Look for jobs now. Call it after a commit that may have added some."""
        self._is_stale = True
        if self._claiming is None and not self._is_closed:
            self._claiming = _detached(self._claim_all())
            self._claiming.add_done_callback(self._claimed)

    async def run_one(self, public_id: str) -> None:
        """Run this job if it is due, and wait for its end.

        Without a free slot, it stays for the search that follows the end of each job.
        """
        if not self._has_slot():
            return
        for row in await self._claim(1, self._jobs, public_id):
            if self._is_closed:
                await self._put_back(row, due_at=utcnow())
            else:
                await asyncio.wait({self._begin(row)})

    async def join(self) -> None:
        """Wait until no job runs, and none that is due is left. For tests."""
        self.wake()
        while tasks := {*self._running, *filter(None, [self._claiming])}:
            await asyncio.wait(tasks)

    async def run_now(self, job: AnyJob) -> None:
        """Run the schedules of a job for their newest ticks, and `join`. For tests.

        Raises `ValueError` if it has none.
        """
        await self._timetable.restart(job)
        await self.join()

    async def close(self, *, within: timedelta) -> None:
        """Wait for running jobs. Cancel those that take longer, and make them due again."""
        self._is_closed = True
        if self._polling is not None:
            self._polling.cancel()
        if self._engine is not None:
            self._engine.stop()
        until = asyncio.get_running_loop().time() + within.total_seconds()
        if self._claiming is not None:
            # Cancelled only at the deadline: on SQLite, an interrupted query leaks its connection.
            await end_tasks({self._claiming}, until, what="jobs")
        await end_tasks({*self._running}, until, what="jobs")
        if self._engine is not None:
            soon = asyncio.get_running_loop().time() + CANCELLING_TIME.total_seconds()
            await self._engine.close(until=max(until, soon))

    async def _poll(self) -> None:
        interval = self._collaborators.settings.JOBS_POLL_SECONDS
        while True:
            # Not all processes at once.
            await asyncio.sleep(interval * random.uniform(0.5, 1))  # noqa: S311  # no secret
            # Each time: a restored database or an older release may have removed some.
            self._may_lack_rows = bool(self._timetable.names)
            self.wake()

    def _claimed(self, _: asyncio.Task[None]) -> None:
        self._claiming = None
        if self._is_stale:
            self.wake()

    async def _claim_all(self) -> None:
        """Start jobs until all slots are taken, or none is due."""
        self._is_stale = False
        try:
            if self._may_lack_rows:
                await self._timetable.add_missing()
                self._may_lack_rows = False
            while not self._is_closed and (room := self._room()):
                limit, names = room
                claimed = await self._claim(limit, names)
                for row in claimed:
                    _ = self._begin(row)
                if len(claimed) < limit:
                    break
        except Exception as error:  # noqa: BLE001  # tried again at the next poll
            self._is_stale = False
            log.warning("jobs_not_claimed", **log_fields(error, DATABASE))

    def _room(self) -> tuple[int, Collection[str]] | None:
        """Return how many more jobs may run, and their names; None if no job may."""
        running = len(self._running)
        if running < self._slots:
            return self._slots - running, self._jobs
        return (1, self._urgent) if running == self._slots else None

    def _has_slot(self) -> bool:
        return not self._is_closed and len(self._running) < self._slots

    def _begin(self, row: Row[Any]) -> asyncio.Task[None]:
        task = _detached(self._run(row))
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self.wake()

    async def _claim(
        self, limit: int, names: Collection[str], public_id: str | None = None
    ) -> list[Row[Any]]:
        now = utcnow()
        # SQLite has one lock for all writers: take it only if there is work.
        async with self._database.read_sessions() as session:
            if not await self._repository(session).has_due(
                names, now, self._timetable.names, public_id=public_id
            ):
                return []
        async with self._database.sessions() as session:
            found = await self._repository(session).claim(
                names,
                now=now,
                until=now + self._lease,
                limit=limit,
                schedules=self._timetable.names,
                public_id=public_id,
            )
            await session.commit()
        return [*found]

    async def _run(self, row: Row[Any]) -> None:
        structlog.contextvars.bind_contextvars(
            request_id=row.request_id, job=row.name, job_id=row.public_id
        )
        if row.trace_id is not None:
            structlog.contextvars.bind_contextvars(trace_id=row.trace_id)
        schedule = self._timetable.get(row.schedule)
        try:
            self._require_time(row, schedule)
            await self._perform(self._jobs[row.name], row, schedule)
        except LeaseLostError:
            log.warning("job_lease_lost", attempt=row.attempts)
        except TicksMissedError as missed:
            log.warning("ticks_missed", attempt=row.attempts, newest=str(missed.newest))
            await self._put_back(row, **self._timetable.row(missed.schedule, missed.newest))
        except asyncio.CancelledError as error:
            if not self._is_closed:
                # The job awaited something that was cancelled: an error like others.
                await self._fail(row, error)
                return
            await self._put_back(row, due_at=utcnow())
            log.warning("job_interrupted", attempt=row.attempts)
        except Exception as error:  # noqa: BLE001  # a failed attempt, whatever its cause
            await self._fail(row, error)
        else:
            log.info("job_done", attempt=row.attempts)

    def _require_time(self, row: Row[Any], schedule: Schedule | None) -> None:
        now = utcnow()
        if schedule is None:
            if now > row.gives_up_at + self._lease:
                raise TooLateError
        elif now >= row.gives_up_at:
            raise TicksMissedError(schedule, schedule.newest(now))

    async def _perform(self, job: AnyJob, row: Row[Any], schedule: Schedule | None) -> None:
        context = encryption_context(self._database.tables.job.data, row.public_id)
        plain = self._collaborators.encryption.decrypt(row.data, context=context)
        data = job.data.model_validate_json(plain)
        async with self._database.sessions() as session:
            work = self._work(row, session, schedule)
            async with asyncio.timeout(job.time_limit.total_seconds()):
                await job.run(data, work)
                if not await self._finish(row, session, schedule):
                    # Leaving the block rolls the attempt back.
                    raise LeaseLostError
                await session.commit()

    def _work(self, row: Row[Any], session: AsyncSession, schedule: Schedule | None) -> Work:
        outbox = Outbox(
            self._repository(session),
            self._collaborators.encryption,
            request_id=row.request_id,
            trace_id=row.trace_id,
        )
        return Work(
            row.public_id,
            row.attempts,
            session,
            self._collaborators,
            self._database.tables,
            outbox,
            None if schedule is None else _tick_of(row, schedule),
        )

    async def _finish(
        self, row: Row[Any], session: AsyncSession, schedule: Schedule | None
    ) -> bool:
        repo = self._repository(session)
        if schedule is None:
            return await repo.finish(row.public_id, attempt=row.attempts)
        following = schedule.following(_tick_of(row, schedule), utcnow())
        values = self._timetable.row(schedule, following)
        return await repo.put_back(row.public_id, attempt=row.attempts, **values, fault=None)

    async def _fail(self, row: Row[Any], error: BaseException) -> None:
        now = utcnow()
        fault = type(error).__name__[:MAX_FAULT_LENGTH]
        is_final = isinstance(error, JobRefusedError)
        schedule = self._timetable.get(row.schedule)
        if schedule is not None:
            # Until the next tick. A schedule is never dead.
            due_at = now + _wait_after(row.attempts)
            if is_final or due_at >= row.gives_up_at:
                following = schedule.following(_tick_of(row, schedule), now)
                log.error("tick_failed", attempt=row.attempts, error=fault, next_at=str(following))
                await self._put_back(row, **self._timetable.row(schedule, following), fault=fault)
                return
        elif is_final or now >= row.gives_up_at:
            # The error's text is not logged: it could contain anything.
            log.error("job_dead", attempt=row.attempts, error=fault)
            await self._put_back(row, dead_at=now, fault=fault)
            return
        else:
            due_at = min(now + _wait_after(row.attempts), row.gives_up_at)
        log.warning("job_failed", attempt=row.attempts, error=fault, next_at=str(due_at))
        await self._put_back(row, due_at=due_at, fault=fault)

    async def _put_back(self, row: Row[Any], **values: Any) -> None:
        # A shutdown meanwhile must not interrupt it: the lease would keep the job from others.
        storing = _detached(self._store(row, **values))
        try:
            await asyncio.shield(storing)
        except asyncio.CancelledError:
            await asyncio.wait({storing}, timeout=CANCELLING_TIME.total_seconds() / 2)
            storing.cancel()

    async def _store(self, row: Row[Any], **values: Any) -> None:
        try:
            async with self._database.sessions() as session:
                repo = self._repository(session)
                await repo.put_back(row.public_id, attempt=row.attempts, **values)
                await session.commit()
        except Exception as error:  # noqa: BLE001  # it is due again when its lease ends
            log.warning("job_not_put_back", **log_fields(error, DATABASE))

    def _repository(self, session: Any) -> JobRepository:
        return JobRepository(session, self._database.tables)


def _tick_of(row: Row[Any], schedule: Schedule) -> datetime:
    tick: datetime = row.gives_up_at - schedule.interval
    return tick


def _wait_after(attempt: int) -> timedelta:
    """Return the time to the next attempt: doubled each time, and never the same for two jobs."""
    doubled = FIRST_RETRY * int(2 ** min(attempt - 1, 20))
    wait: timedelta = min(doubled, LONGEST_WAIT)
    return wait * random.uniform(0.8, 1.2)  # noqa: S311  # no secret


def _detached(work: Any) -> asyncio.Task[None]:
    """Start a task without the context of the request that happens to wake it."""
    return asyncio.create_task(work, name=TASK_NAME, context=contextvars.Context())
