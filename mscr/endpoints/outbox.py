"""The outbox of a request: jobs that run after its transaction, and after its response."""

from collections.abc import Callable
from typing import Annotated

from fastapi import BackgroundTasks, Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from mscr.endpoints.database import DbSession
from mscr.endpoints.requests import collaborators_of, tables_of
from mscr.jobs.outbox import Outbox as JobOutbox
from mscr.repositories.job_repository import JobRepository


async def get_outbox(request: Request, db: DbSession, background: BackgroundTasks) -> JobOutbox:
    """Return the outbox of the request's transaction. Its jobs run after the response."""
    outbox = _outbox(request, db)

    async def run_jobs() -> None:
        _run_jobs(request, outbox)

    # After the response: its time must not depend on a job, or it reveals who has an account.
    background.add_task(run_jobs)
    return outbox


def outbox_after_commit(request: Request, db: AsyncSession) -> JobOutbox:
    """Return an outbox whose jobs run after the commit, also of a request that is then refused.

    For requests that rarely have a job: it costs nothing until one is added.
    """

    def run_jobs() -> None:
        _run_jobs(request, outbox)

    outbox = _outbox(request, db, on_commit=run_jobs)
    return outbox


def _run_jobs(request: Request, outbox: JobOutbox) -> None:
    # An outbox with several commits hands each job over once.
    due, outbox.due = outbox.due, []
    request.app.state.jobs.hand_over(due)


def wake_jobs(request: Request) -> None:
    """Look for jobs, after a commit, unless only workers run them. It does not wait for them."""
    if collaborators_of(request).settings.JOBS_IN_PROCESS:
        request.app.state.jobs.wake()


def _outbox(
    request: Request, db: AsyncSession, *, on_commit: Callable[[], None] | None = None
) -> JobOutbox:
    return JobOutbox(
        JobRepository(db, tables_of(request)),
        collaborators_of(request).encryption,
        request_id=request.state.request_id,
        trace_id=getattr(request.state, "trace_id", None),
        on_commit=on_commit,
    )


# The outbox of a request: its jobs run after the commit, and after the response.
Outbox = Annotated[JobOutbox, Depends(get_outbox)]
