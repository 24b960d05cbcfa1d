"""The outbox of a request: jobs that run after its transaction, and after its response."""

from typing import Annotated

from fastapi import BackgroundTasks, Depends, Request

from mscr.endpoints.database import DbSession
from mscr.endpoints.requests import collaborators_of, tables_of
from mscr.jobs.outbox import Outbox as JobOutbox
from mscr.repositories.job_repository import JobRepository


async def get_outbox(request: Request, db: DbSession, background: BackgroundTasks) -> JobOutbox:
    """Return the outbox of the request's transaction. Its jobs run after the response."""

    async def run_jobs() -> None:
        request.app.state.jobs.wake()

    collaborators = collaborators_of(request)
    if collaborators.settings.JOBS_IN_PROCESS:
        # After the response: its time must not depend on a job, or it reveals who has an account.
        background.add_task(run_jobs)
    return JobOutbox(
        JobRepository(db, tables_of(request)),
        collaborators.encryption,
        request_id=request.state.request_id,
        trace_id=getattr(request.state, "trace_id", None),
    )


# The outbox of a request: its jobs run after the commit, and after the response.
Outbox = Annotated[JobOutbox, Depends(get_outbox)]
