"""The outbox, as operators see it: list jobs, and decide about dead ones."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from mscr.core.exceptions import JobNotDeadError, NotFoundError
from mscr.core.security.principal import Principal
from mscr.models.audit_event import AuditAction
from mscr.models.base import utcnow
from mscr.models.job import JobMixin
from mscr.queries.pagination import Page, Pager
from mscr.repositories.job_repository import JobRepository
from mscr.schemas.job_schemas import JobListQuery
from mscr.services.audit_event_service import AuditTrail, Parties

# How long a dead job is retried after somebody has decided so.
NEW_PATIENCE: Final = timedelta(days=1)


class JobListService:
    def __init__(self, repo: JobRepository, *, pager: Pager) -> None:
        self.repo = repo
        self._pager = pager

    async def list_page(self, query: JobListQuery, reader: Principal) -> Page[JobMixin]:
        request = self._pager.page_request(query, "jobs", reader.public_id)
        return self._pager.page(await self.repo.list_page(request), request)


class DeadJobService:
    """Decide about dead jobs. Others raise `JobNotDeadError`: a process may be running them."""

    def __init__(self, repo: JobRepository, audit: AuditTrail) -> None:
        self.repo = repo
        self._audit = audit

    async def retry(self, public_id: UUID, caller: Principal) -> JobMixin:
        """Make a dead job due again, for `NEW_PATIENCE`."""
        job = await self._lock(public_id)
        now = utcnow()
        await self.repo.update(job, dead_at=None, due_at=now, gives_up_at=now + NEW_PATIENCE)
        await self._record(AuditAction.RETRY_JOB, job, caller)
        await self.repo.commit()
        return job

    async def drop(self, public_id: UUID, caller: Principal) -> None:
        """Delete a dead job."""
        job = await self._lock(public_id)
        await self._record(AuditAction.DROP_JOB, job, caller)
        await self.repo.drop_dead(public_id=job.public_id)
        await self.repo.commit()

    async def _lock(self, public_id: UUID) -> JobMixin:
        job = await self.repo.lock(public_id=str(public_id))
        if job is None:
            raise NotFoundError
        if job.dead_at is None:
            raise JobNotDeadError
        return job

    async def _record(self, action: AuditAction, job: JobMixin, caller: Principal) -> None:
        parties = Parties(actor=caller.public_id, session=caller.session_id)
        await self._audit.record(action, parties, reason=f"job {job.public_id}")
