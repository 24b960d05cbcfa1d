"""Start-up and shutdown of an application, and of a server's process."""

import gc
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from fastapi import FastAPI

from mscr.core.logging import configure_logging
from mscr.core.shutdown import close_all
from mscr.jobs.runner import JobRunner
from mscr.services.cleanup_jobs import CLEAN_UP_JOBS, clean_up_schedules

if TYPE_CHECKING:
    from mscr.collaborators import Collaborators

# New objects before a collection of the youngest generation. Python's default is 700.
GARBAGE_THRESHOLD: Final = 50_000


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
    collaborators: Collaborators = app.state.collaborators
    settings = collaborators.settings
    configure_logging(settings)
    jobs = JobRunner(
        (*app.state.job_types, *CLEAN_UP_JOBS),
        collaborators,
        app.state.database,
        (*app.state.schedules, *clean_up_schedules(settings)),
    )
    app.state.jobs = jobs
    await collaborators.passwords.warm_up()
    if settings.JOBS_IN_PROCESS:
        jobs.start()
    yield
    within = settings.closing_time / 2
    # First, because jobs use everything else.
    await jobs.close(within=within)
    collaborators.passwords.close()
    # Their own timeouts are shorter than the common one: they can end without losing data, which
    # a cancellation cannot.
    own = within * 0.8
    await close_all(
        {**collaborators.closing(own), "database": app.state.database.close(within=own)},
        within=within,
    )


@asynccontextmanager
async def process_lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
    """The lifespan of the only application in a server's process."""
    async with lifespan(app):
        _tune_garbage_collection()
        yield


def _tune_garbage_collection() -> None:
    """Collect garbage rarely, and exclude the objects of the start-up (`gc.freeze`).

    With Python's defaults, collections take a tenth of the processor time of requests. A full
    collection pauses all requests for 0.1 s, about once in 900 requests (docs/performance.md).
    Requests leave few reference cycles: with this threshold, thousands of requests cause no
    collection.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD, 20, 50)
