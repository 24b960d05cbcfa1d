"""Commands that delete rows that are no longer needed, in batches."""
# ruff: noqa: PLC0415

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from mscr.cli.audit import audit_trail
from mscr.cli.command_line import project_of
from mscr.cli.console import progress, say
from mscr.cli.database_sessions import open_session
from mscr.cli.faults import require_consent

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from mscr.project import Project

    DeleteBatch = Callable[[Project, AsyncSession, datetime, int], Awaitable[int]]

Yes = Annotated[bool, typer.Option("--yes", help="Run in production too.")]
Batch = Annotated[int, typer.Option(min=1, max=100_000, help="Rows in one transaction.")]

commands = typer.Typer()


@commands.command("cleanup-tokens")
def cleanup_tokens(
    context: typer.Context,
    older_than_days: Annotated[
        int, typer.Option(min=0, max=36_500, help="Minimum days since the end.")
    ] = 30,
    batch: Batch = 1000,
    yes: Yes = False,
) -> None:
    """Delete sessions that have ended (expired, idle or revoked), and mailed links that expired."""
    deleted = _clean_up(project_of(context), _delete_dead_tokens, older_than_days, batch, yes=yes)
    say(f"deleted {deleted} ended sessions and expired links")


@commands.command("cleanup-audit")
def cleanup_audit(
    context: typer.Context,
    older_than_days: Annotated[
        int, typer.Option(min=0, max=36_500, help="Minimum age of the events, in days.")
    ] = 365,
    batch: Batch = 1000,
    yes: Yes = False,
) -> None:
    """Delete old events of the audit log."""
    # The audit log records the option, to distinguish a wiped trail from an expired one.
    command = f"cleanup-audit --older-than-days={older_than_days}"
    deleted = _clean_up(
        project_of(context), _delete_old_events, older_than_days, batch, yes=yes, record_as=command
    )
    say(f"deleted {deleted} events of the audit log")


@commands.command("purge-deleted")
def purge_deleted(
    context: typer.Context,
    older_than_days: Annotated[
        # At least a day, the longest lifetime of a registration link: a link must not create an
        # account again that its owner has deleted, so the soft-deleted row must still exist.
        int | None,
        typer.Option(
            min=1, max=36_500, help="Minimum days since the deletion.  [DELETED_RETENTION_DAYS]"
        ),
    ] = None,
    batch: Batch = 1000,
    yes: Yes = False,
) -> None:
    """Permanently delete rows that were soft-deleted long ago, from every table."""
    project = project_of(context)
    settings = project.get_settings()
    require_consent(settings, yes=yes)
    days = older_than_days or settings.DELETED_RETENTION_DAYS
    with progress("purging") as advance:
        counts = asyncio.run(_purge_all(project, days, batch, advance))
    for table, count in counts.items():
        say(f"purged {count} rows of {table}")
    if not counts:
        say(f"no row was deleted {days} days ago or before: nothing to purge")


@commands.command("cleanup-idempotency-keys")
def cleanup_idempotency_keys(context: typer.Context, batch: Batch = 1000, yes: Yes = False) -> None:
    """Delete expired idempotency keys and their stored responses."""
    deleted = _clean_up(project_of(context), _delete_expired_keys, 0, batch, yes=yes)
    say(f"deleted {deleted} expired idempotency keys")


@commands.command("cleanup-jobs")
def cleanup_jobs(
    context: typer.Context,
    older_than_days: Annotated[
        int, typer.Option(min=0, max=36_500, help="Minimum days since the last attempt.")
    ] = 30,
    batch: Batch = 1000,
    yes: Yes = False,
) -> None:
    """Delete jobs that died long ago. They hold addresses, for instance of mistyped mails."""
    deleted = _clean_up(project_of(context), _delete_dead_jobs, older_than_days, batch, yes=yes)
    say(f"deleted {deleted} dead jobs")


def _clean_up(
    project: "Project",
    delete: "DeleteBatch",
    older_than_days: int,
    batch: int,
    *,
    yes: bool,
    record_as: str | None = None,
) -> int:
    """Delete in batches, with a transaction for each. Return the number of rows.

    The first transaction records the command `record_as` in the audit log, if it is given.
    """
    from mscr.models.base import utcnow

    require_consent(project.get_settings(), yes=yes)
    before = utcnow() - timedelta(days=older_than_days)
    with progress("deleting") as advance:
        return asyncio.run(_delete_all(project, delete, before, batch, advance, record_as))


async def _delete_all(
    project: "Project",
    delete: "DeleteBatch",
    before: datetime,
    batch: int,
    advance: Callable[[int], None],
    record_as: str | None,
) -> int:
    total = 0
    async with open_session(project) as session:
        if record_as is not None:
            await _record_cleanup(project, session, record_as)
        while True:
            deleted = await delete(project, session, before, batch)
            await session.commit()
            if not deleted:
                return total
            advance(deleted)
            total += deleted


async def _record_cleanup(project: "Project", session: "AsyncSession", command: str) -> None:
    from mscr.models.audit_event import AuditAction
    from mscr.services.audit_event_service import NOBODY

    await audit_trail(project, session, command).record(AuditAction.CLEANUP_AUDIT, NOBODY)


async def _delete_dead_tokens(
    project: "Project", session: "AsyncSession", before: datetime, batch: int
) -> int:
    from mscr.repositories.mailed_link_repository import MailedLinkRepository
    from mscr.repositories.refresh_token_repository import RefreshTokenRepository

    tables = project.tables()
    sessions = await RefreshTokenRepository(session, tables).delete_dead(before=before, batch=batch)
    links = MailedLinkRepository(session, tables)
    return sessions + await links.delete_expired(before=before, batch=batch)


async def _delete_old_events(
    project: "Project", session: "AsyncSession", before: datetime, batch: int
) -> int:
    from mscr.repositories.audit_event_repository import AuditEventRepository

    return await AuditEventRepository(session, project.tables()).delete_older(
        before=before, batch=batch
    )


async def _purge_all(
    project: "Project", days: int, batch: int, advance: Callable[[int], None]
) -> dict[str, int]:
    from mscr.models.base import utcnow
    from mscr.repositories.deleted_row_repository import DeletedRowRepository, soft_deleting_tables
    from mscr.services.purge_service import PurgeService

    before = utcnow() - timedelta(days=days)
    async with open_session(project) as session:
        audit = audit_trail(project, session, f"purge-deleted --older-than-days={days}")
        repos = [
            DeletedRowRepository(table, session)
            for table in soft_deleting_tables(project.metadata())
        ]
        return await PurgeService(repos, audit).purge(before=before, batch=batch, on_batch=advance)


async def _delete_expired_keys(
    project: "Project", session: "AsyncSession", before: datetime, batch: int
) -> int:
    from mscr.repositories.idempotency_key_repository import IdempotencyKeyRepository

    return await IdempotencyKeyRepository(session, project.tables()).delete_expired(
        before=before, batch=batch
    )


async def _delete_dead_jobs(
    project: "Project", session: "AsyncSession", before: datetime, batch: int
) -> int:
    from mscr.repositories.job_repository import JobRepository

    return await JobRepository(session, project.tables()).delete_dead(before=before, batch=batch)
