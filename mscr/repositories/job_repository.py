from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from mscr.models.job import JobMixin
from mscr.models.tables import Tables
from mscr.repositories.base import BaseRepository


class JobRepository(BaseRepository[JobMixin]):
    def __init__(self, session: AsyncSession, tables: Tables) -> None:
        super().__init__(tables.job, session)

    async def has_due(self, names: Collection[str], now: datetime) -> bool:
        """Return whether a job is due. It takes no lock: SQLite has one for all writers."""
        found = select(self.model.id).where(*self._is_due(names, now)).limit(1)
        return await self.session.scalar(found) is not None

    async def claim(
        self, names: Collection[str], *, now: datetime, until: datetime, limit: int
    ) -> Sequence[Any]:
        """Take up to `limit` jobs that are due, the oldest first, and lease them until `until`.

        The rows have `id`, `public_id`, `name`, `data`, `attempts`, `gives_up_at`, `request_id` and
        `trace_id`.

        Concurrent claims never wait, and never return the same job. A job whose lease has ended is
        due again: its process has died, or has lost the database.
        """
        job = self.model
        due = (
            select(job.id)
            .where(*self._is_due(names, now))
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
                job.id,
                job.public_id,
                job.name,
                job.data,
                job.attempts,
                job.gives_up_at,
                job.request_id,
                job.trace_id,
            )
            .execution_options(synchronize_session=False)
        )
        return claimed.all()

    async def finish(self, job_id: int, *, attempt: int) -> bool:
        """Delete a job that is done. Return False if its lease has ended and it was claimed again.

        Then nothing of this attempt may be committed (fencing).
        """
        job = self.model
        done = delete(job).where(job.id == job_id, job.attempts == attempt).returning(job.id)
        return (await self.session.execute(done)).first() is not None

    async def put_back(self, job_id: int, *, attempt: int, **values: Any) -> None:
        """Set columns of a job, unless it was claimed again."""
        job = self.model
        await self.session.execute(
            update(job).where(job.id == job_id, job.attempts == attempt).values(**values)
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
        """Delete up to `batch` jobs that have been dead since before this time."""
        job = self.model
        old = select(job.id).where(job.dead_at < before).limit(batch)
        deleted = delete(job).where(job.id.in_(old)).returning(job.id)
        return len((await self.session.execute(deleted)).all())

    def _is_due(self, names: Collection[str], now: datetime) -> tuple[ColumnElement[bool], ...]:
        job = self.model
        # Names of another release stay for its processes.
        return job.due_at <= now, job.dead_at.is_(None), job.name.in_(names)

    def _is_dead(self, public_id: str | None) -> list[ColumnElement[bool]]:
        one = [] if public_id is None else [self.model.public_id == public_id]
        return [self.model.dead_at.is_not(None), *one]
