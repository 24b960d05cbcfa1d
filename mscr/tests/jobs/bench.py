"""A job that tests observe, and steps to add and run it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from mscr.db.session import Database
from mscr.jobs.job import Job, Work
from mscr.jobs.outbox import Outbox
from mscr.jobs.runner import JobRunner
from mscr.models.base import utcnow
from mscr.models.job import JobMixin
from mscr.repositories.job_repository import JobRepository

NAME: Final = "tests.greet"
LONG: Final = timedelta(seconds=30)


class Greeting(BaseModel):
    to: str


@dataclass
class Bench:
    """Controls the jobs of a test, and records them."""

    app: FastAPI
    database: Database
    done: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    may_end: asyncio.Event = field(default_factory=asyncio.Event)
    error: Exception | None = None
    at_once: int = 0
    most_at_once: dict[str, int] = field(default_factory=dict)
    time_limit: timedelta = LONG
    patience: timedelta = LONG
    writes: bool = False

    def __post_init__(self) -> None:
        self.may_end.set()

    @property
    def job(self) -> Job[Greeting]:
        return Job(NAME, Greeting, self._run, time_limit=self.time_limit, patience=self.patience)

    async def _run(self, data: Greeting, work: Work) -> None:
        running = self.most_at_once.setdefault(work.id, 0)
        self.most_at_once[work.id] = running + 1
        self.ids.append(work.id)
        if self.writes:
            await self.add(f"after {data.to}", work.session)
        self.begun.set()
        await self.may_end.wait()
        if self.error is not None:
            raise self.error
        self.done.append(data.to)

    def runner(self) -> JobRunner:
        """Return a runner as a process of its own has it."""
        return JobRunner([self.job], self.app.state.collaborators, self.database)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[JobRunner]:
        runner = self.runner()
        try:
            yield runner
        finally:
            self.may_end.set()
            await runner.close(within=LONG)

    async def add(self, to: str, session: Any = None, **options: Any) -> str:
        """Add a job: in this session, or committed in one of its own."""
        if session is not None:
            return await self.outbox(session).add(self.job, Greeting(to=to), **options)
        async with self.database.sessions() as own:
            public_id = await self.add(to, own, **options)
            await own.commit()
        return public_id

    def outbox(self, session: AsyncSession) -> Outbox:
        repo = JobRepository(session, self.database.tables)
        return Outbox(repo, self.app.state.collaborators.encryption)

    async def rows(self) -> list[JobMixin]:
        async with self.database.read_sessions() as session:
            job = self.database.tables.job
            return [*await session.scalars(select(job).order_by(job.id))]

    async def set_all(self, **values: Any) -> None:
        async with self.database.sessions() as session:
            await session.execute(update(self.database.tables.job).values(**values))
            await session.commit()

    async def end_leases(self) -> None:
        """Let the leases of running jobs end, as if their processes had died."""
        await self.set_all(due_at=utcnow() - timedelta(seconds=1))
