"""Rows that nobody needs any more, deleted in batches: by commands, and by schedules."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from mscr.core.config import Settings
from mscr.models.audit_event import AuditAction
from mscr.models.tables import Tables
from mscr.repositories.audit_event_repository import AuditEventRepository
from mscr.repositories.deleted_row_repository import DeletedRowRepository, soft_deleting_tables
from mscr.repositories.idempotency_key_repository import IdempotencyKeyRepository
from mscr.repositories.job_repository import JobRepository
from mscr.repositories.mailed_link_repository import MailedLinkRepository
from mscr.repositories.refresh_token_repository import RefreshTokenRepository


@dataclass(frozen=True, slots=True)
class CleanUp:
    """A kind of rows to delete. It can be interrupted at any moment, repeated and run twice."""

    command: str
    """The command that deletes them too."""
    retention: Callable[[Settings], timedelta]
    """How long they are kept after their end."""
    delete: Callable[[Any, Tables, datetime, int], Awaitable[int]]
    """Delete rows in a database session: those that ended before a time, at most so many."""
    action: AuditAction | None = None
    """Audited in the transaction of the first rows."""


async def _delete_sessions_and_links(
    session: Any, tables: Tables, before: datetime, batch: int
) -> int:
    sessions = await RefreshTokenRepository(session, tables).delete_dead(before=before, batch=batch)
    links = MailedLinkRepository(session, tables)
    return sessions + await links.delete_expired(before=before, batch=batch - sessions)


async def _delete_old_events(session: Any, tables: Tables, before: datetime, batch: int) -> int:
    return await AuditEventRepository(session, tables).delete_older(before=before, batch=batch)


async def _delete_expired_keys(session: Any, tables: Tables, before: datetime, batch: int) -> int:
    repo = IdempotencyKeyRepository(session, tables)
    return await repo.delete_expired(before=before, batch=batch)


async def _delete_dead_jobs(session: Any, tables: Tables, before: datetime, batch: int) -> int:
    return await JobRepository(session, tables).delete_dead(before=before, batch=batch)


async def _purge_deleted_rows(session: Any, tables: Tables, before: datetime, batch: int) -> int:
    left = batch
    for table in soft_deleting_tables(tables.metadata):
        repo = DeletedRowRepository(table, session)
        left -= len(await repo.purge(before=before, after_id=0, batch=left))
        if not left:
            break
    return batch - left


SESSIONS: Final = CleanUp(
    "cleanup-tokens",
    lambda settings: timedelta(days=settings.SESSION_RETENTION_DAYS),
    _delete_sessions_and_links,
)
AUDIT_EVENTS: Final = CleanUp(
    "cleanup-audit",
    lambda settings: timedelta(days=settings.AUDIT_RETENTION_DAYS),
    _delete_old_events,
    AuditAction.CLEANUP_AUDIT,
)
IDEMPOTENCY_KEYS: Final = CleanUp(
    "cleanup-idempotency-keys", lambda _: timedelta(0), _delete_expired_keys
)
DEAD_JOBS: Final = CleanUp(
    "cleanup-jobs",
    lambda settings: timedelta(days=settings.DEAD_JOB_RETENTION_DAYS),
    _delete_dead_jobs,
)
DELETED_ROWS: Final = CleanUp(
    "purge-deleted",
    lambda settings: timedelta(days=settings.DELETED_RETENTION_DAYS),
    _purge_deleted_rows,
    AuditAction.PURGE_DELETED,
)
CLEAN_UPS: Final = (SESSIONS, AUDIT_EVENTS, IDEMPOTENCY_KEYS, DEAD_JOBS, DELETED_ROWS)
"""All kinds. Each is scheduled once a night (`mscr.services.cleanup_jobs`)."""
