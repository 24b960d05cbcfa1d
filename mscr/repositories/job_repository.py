from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from mscr.models.job import JobMixin, JobState
from mscr.models.tables import Tables
from mscr.queries.filters import Filters, equals
from mscr.queries.pagination import PageRequest, Slice
from mscr.repositories.base import BaseRepository, SortColumns

# A schedule that an application has runs long before: this one was removed from the code.
ABANDONED_AFTER: Final = timedelta(days=7)


class JobLists:
    """The sort columns and filters of the list of jobs."""

    def __init__(self, tables: Tables) -> None:
        job = tables.job
        self.states = {
            JobState.WAITING: job.dead_at.is_(None),
            JobState.DEAD: job.dead_at.is_not(None),
        }
        self.sortable: SortColumns = {"due_at": job.due_at}
        self.filters: Filters = {"state": self.states.__getitem__, "name": equals(job.name)}


class JobRepository(BaseRepository[JobMixin]):
    def __init__(self, session: AsyncSession, tables: Tables) -> None:
        super().__init__(tables.job, session)
        self._tables = tables

    async def has_due(
        self,
        names: Collection[str],
        now: datetime,
        schedules: Collection[str] = (),
        *,
        public_id: str | None = None,
    ) -> bool:
        """Return whether a job, or this one, is due.

        It takes no lock: SQLite has one for all writers.
        """
        due = self._is_due(names, now, schedules, public_id)
        found = select(self.model.id).where(*due).limit(1)
        return await self.session.scalar(found) is not None

    async def claim(
        self,
        names: Collection[str],
        *,
        now: datetime,
        until: datetime,
        limit: int,
        schedules: Collection[str] = (),
        public_id: str | None = None,
    ) -> Sequence[Any]:
        """Take up to `limit` jobs that are due, the oldest first, and lease them until `until`.

        With `public_id`, take only this one.

        The rows have `public_id`, `name`, `data`, `attempts`, `gives_up_at`, `schedule`,
        `request_id` and `trace_id`.

        Concurrent claims never wait, and never return the same job. A job whose lease has ended is
        due again: its process has died, or has lost the database.
        """
        job = self.model
        due = (
            select(job.id)
            .where(*self._is_due(names, now, schedules, public_id))
            .order_by(job.due_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("due")
        )
        claimed = await self.session.execute(
            update(job)
            .where(job.id == due.c.id)
            .values(due_at=until, attempts=job.attempts + 1)
            .returning(
                job.public_id,
                job.name,
                job.data,
                job.attempts,
                job.gives_up_at,
                job.schedule,
                job.request_id,
                job.trace_id,
            )
            .execution_options(synchronize_session=False)
        )
        return claimed.all()

    async def finish(self, public_id: str, *, attempt: int) -> bool:
        """Delete a job that is done. Return False if its lease has ended and it was claimed again.

        Then nothing of this attempt may be committed (fencing).
        """
        job = self.model
        done = delete(job).where(*self._is_newest(public_id, attempt)).returning(job.id)
        return (await self.session.execute(done)).first() is not None

    async def put_back(self, public_id: str, /, *, attempt: int, **values: Any) -> bool:
        """Set columns of a job. Return False if it was claimed again."""
        job = self.model
        changed = (
            update(job)
            .where(*self._is_newest(public_id, attempt))
            .values(**values)
            .returning(job.id)
            .execution_options(synchronize_session=False)
        )
        return (await self.session.execute(changed)).first() is not None

    async def list_scheduled(self, schedules: Collection[str]) -> Sequence[str]:
        """Return which of these schedules have a row."""
        found = select(self.model.schedule).where(self.model.schedule.in_(schedules))
        return [name for name in await self.session.scalars(found) if name is not None]

    async def add_scheduled(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows of schedules, unless another process does so at the same time."""
        on_sqlite = self.session.get_bind().dialect.name == "sqlite"
        added = (sqlite.insert if on_sqlite else postgresql.insert)(self.model).values(rows)
        await self.session.execute(added.on_conflict_do_nothing())

    async def remove_scheduled(self, schedules: Collection[str]) -> None:
        """Delete the rows of schedules."""
        await self.session.execute(
            delete(self.model)
            .where(self.model.schedule.in_(schedules))
            .execution_options(synchronize_session=False)
        )

    async def list_page(self, request: PageRequest) -> Slice[JobMixin]:
        lists = self._tables.prepared(JobLists)
        # Each state has an index, in this order: a list of both reads the two.
        states = () if request.filters.get("state") else (*lists.states.values(),)
        return await self._paginate(
            self._select(), request, lists.sortable, lists.filters, any_of=states
        )

    async def list_oldest(self, *, only_dead: bool, limit: int) -> Sequence[JobMixin]:
        found = select(self.model).order_by(self.model.id).limit(limit)
        if only_dead:
            found = found.where(self.model.dead_at.is_not(None))
        return (await self.session.scalars(found)).all()

    async def revive(self, *, now: datetime, until: datetime, public_id: str | None) -> int:
        """Make dead jobs due again, all of them or one. Return how many."""
        revived = (
            update(self.model)
            .where(*self._is_dead(public_id))
            .values(dead_at=None, due_at=now, gives_up_at=until)
            .returning(self.model.id)
            .execution_options(synchronize_session=False)
        )
        return len((await self.session.execute(revived)).all())

    async def drop_dead(self, *, public_id: str | None) -> int:
        """Delete dead jobs, all of them or one. Return how many."""
        dropped = (
            delete(self.model)
            .where(*self._is_dead(public_id))
            .returning(self.model.id)
            .execution_options(synchronize_session=False)
        )
        return len((await self.session.execute(dropped)).all())

    async def delete_dead(self, *, before: datetime, batch: int) -> int:
        """Delete up to `batch` jobs that have been dead since before this time.

        So are the rows of schedules that no application runs any more.
        """
        job = self.model
        abandoned = and_(job.schedule.is_not(None), job.due_at < before - ABANDONED_AFTER)
        old = select(job.id).where(or_(job.dead_at < before, abandoned)).limit(batch)
        deleted = delete(job).where(job.id.in_(old)).returning(job.id)
        return len((await self.session.execute(deleted)).all())

    def _is_due(
        self,
        names: Collection[str],
        now: datetime,
        schedules: Collection[str] = (),
        public_id: str | None = None,
    ) -> tuple[ColumnElement[bool], ...]:
        job = self.model
        one = () if public_id is None else (job.public_id == public_id,)
        # Names and schedules of another release stay for its processes.
        return (
            job.due_at <= now,
            job.dead_at.is_(None),
            job.name.in_(names),
            or_(job.schedule.is_(None), job.schedule.in_(schedules)),
            *one,
        )

    def _is_newest(self, public_id: str, attempt: int) -> tuple[ColumnElement[bool], ...]:
        # Attempts of a schedule begin anew at each tick: only its new id keeps old ones out.
        return self.model.public_id == public_id, self.model.attempts == attempt

    def _is_dead(self, public_id: str | None) -> list[ColumnElement[bool]]:
        one = [] if public_id is None else [self.model.public_id == public_id]
        return [self.model.dead_at.is_not(None), *one]
