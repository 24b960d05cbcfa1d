"""The catalogue with a job that does nothing, two requests of which one adds it, and its runner.

`uvicorn benchmarks.job_app:app` serves it. `python -m benchmarks.job_app add COUNT` adds jobs, and
`python -m benchmarks.job_app run` runs all that are due: it prints a line when it is ready, begins
at a line on its standard input, and prints the times of begin and end as one JSON object.
"""

import asyncio
import json
import sys
import time
from datetime import timedelta
from typing import Final

from pydantic import BaseModel
from sqlalchemy import select, text

from examples.catalogue.main import API_PREFIX, app
from examples.catalogue.repositories.note_repository import NoteRepository
from examples.catalogue.schemas.note_schemas import NoteCreate
from mscr.endpoints.callers import CurrentPrincipal
from mscr.endpoints.database import DbSession
from mscr.endpoints.outbox import Outbox
from mscr.http.routing import Router
from mscr.jobs.job import Job, Work
from mscr.jobs.outbox import Outbox as JobOutbox
from mscr.models.base import utcnow
from mscr.repositories.job_repository import JobRepository
from mscr.testing.waiting import until

NAME: Final = "benchmarks.nothing"
# Jobs that `add` adds in one transaction.
BATCH: Final = 100


class Nothing(BaseModel):
    text: str


async def _do_nothing(data: Nothing, work: Work) -> None:
    """Cost no more than the outbox itself."""


JOB: Final = Job(NAME, Nothing, _do_nothing)
router = Router(prefix="/noted", tags=["Notes"])


@router.post("/without-job", status_code=201)
async def create_without_job(data: NoteCreate, caller: CurrentPrincipal, db: DbSession) -> None:
    """Create a note."""
    await _create(data, caller.user_id, NoteRepository(db))


@router.post("/with-job", status_code=201)
async def create_with_job(
    data: NoteCreate, caller: CurrentPrincipal, db: DbSession, outbox: Outbox
) -> None:
    """Create a note, and add a job in its transaction."""
    await outbox.add(JOB, Nothing(text=data.text))
    await _create(data, caller.user_id, NoteRepository(db))


async def _create(data: NoteCreate, owner_id: int, repo: NoteRepository) -> None:
    await repo.create(owner_id=owner_id, text=data.text)
    await repo.commit()


app.include_router(router, prefix=API_PREFIX)
app.state.job_types = (JOB,)


async def _add(count: int) -> None:
    async with app.router.lifespan_context(app):
        database = app.state.database
        for first in range(0, count, BATCH):
            async with database.sessions() as session:
                outbox = JobOutbox(
                    JobRepository(session, database.tables), app.state.collaborators.encryption
                )
                for _ in range(first, min(first + BATCH, count)):
                    await outbox.add(JOB, Nothing(text="Buy milk"))
                await session.commit()
            app.state.jobs.hand_over(outbox.due)
        # The last ids are sent meanwhile.
        await asyncio.sleep(1)


async def _has_none() -> bool:
    """Return whether no job of `add` is left: those of a backlog wait for a day."""
    async with app.state.database.read_sessions() as session:
        job = app.state.database.tables.job
        current = job.due_at < utcnow() + timedelta(hours=1), job.dead_at.is_(None)
        return await session.scalar(select(job.id).where(*current).limit(1)) is None


async def _run() -> None:
    async with app.router.lifespan_context(app):
        # Connecting is not measured.
        async with app.state.database.sessions() as session:
            await session.execute(text("SELECT 1"))
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        began = time.time()
        if app.state.collaborators.settings.JOBS_ENGINE_URL is None:
            await app.state.jobs.join()
        else:
            app.state.jobs.start()
            await until(_has_none)
        print(json.dumps({"began": began, "ended": time.time()}), flush=True)


if __name__ == "__main__":
    asyncio.run(_add(int(sys.argv[2])) if sys.argv[1] == "add" else _run())
