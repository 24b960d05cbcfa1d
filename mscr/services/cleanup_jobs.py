"""The clean-ups as jobs, which run at night. Each attempt deletes one batch."""

from collections.abc import Sequence
from datetime import time
from functools import partial
from typing import Final

import structlog
from pydantic import BaseModel

from mscr.core.client import Client, Origin
from mscr.core.config import Settings
from mscr.jobs.job import Job, Work
from mscr.jobs.schedule import Schedule, daily
from mscr.models.base import utcnow
from mscr.repositories.audit_event_repository import AuditEventRepository
from mscr.services.audit_event_service import NOBODY, AuditTrail
from mscr.services.cleanup_service import CLEAN_UPS, CleanUp

log = structlog.get_logger(__name__)

AT: Final = time(3, 0)
SCHEDULE: Final = Client("schedule", None)


class Batch(BaseModel):
    size: int = 1000
    is_audited: bool = False


async def _clean_up(clean_up: CleanUp, data: Batch, work: Work) -> None:
    """Delete one batch. After a full one, add a job for the next.

    So neither a lease nor a transaction is longer than a batch. A retry takes a smaller one: the
    database's time limit for a statement may be too short for the rows that depend on many.
    """
    settings: Settings = work.collaborators.settings
    size = max(1, data.size // 4 ** (work.attempt - 1))
    retention = clean_up.retention(settings)
    deleted = await clean_up.delete(work.session, work.tables, utcnow() - retention, size)
    is_audited = data.is_audited
    if deleted and clean_up.action is not None and not is_audited:
        operation = f"{clean_up.command} --older-than-days={retention.days}"
        repo = AuditEventRepository(work.session, work.tables)
        trail = AuditTrail(repo, Origin(SCHEDULE, operation), requests=work.collaborators.requests)
        await trail.record(clean_up.action, NOBODY)
        is_audited = True
    if deleted == size:
        await work.outbox.add(_JOBS[clean_up.command], Batch(size=size, is_audited=is_audited))
    log.info("cleaned_up", command=clean_up.command, rows=deleted)


_JOBS: Final = {
    clean_up.command: Job(f"mscr.{clean_up.command}", Batch, partial(_clean_up, clean_up))
    for clean_up in CLEAN_UPS
}
# Known even if they are not scheduled: batches of a clean-up may wait.
CLEAN_UP_JOBS: Final = tuple(_JOBS.values())


def clean_up_schedules(settings: Settings) -> Sequence[Schedule]:
    """Return the schedules of the clean-ups, unless CLEANUP_SCHEDULED is off."""
    if not settings.CLEANUP_SCHEDULED:
        return ()
    return [daily(job, at=AT) for job in CLEAN_UP_JOBS]
