"""Commands that delete rows that are no longer needed, in batches."""
# ruff: noqa: PLC0415

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from mscr.cli.audit import audit_trail
from mscr.cli.command_line import project_of
from mscr.cli.console import progress, say
from mscr.cli.database_sessions import open_session
from mscr.cli.faults import require_consent

if TYPE_CHECKING:
    from mscr.project import Project
    from mscr.services.cleanup_service import CleanUp

Yes = Annotated[bool, typer.Option("--yes", help="Run in production too.")]
Batch = Annotated[int, typer.Option(min=1, max=100_000, help="Rows in one transaction.")]

commands = typer.Typer()


@commands.command("cleanup-tokens")
def cleanup_tokens(
    context: typer.Context,
    older_than_days: Annotated[
        int | None,
        typer.Option(
            min=0, max=36_500, help="Minimum days since the end.  [SESSION_RETENTION_DAYS]"
        ),
    ] = None,
    batch: Batch = 1000,
    yes: Yes = False,
) -> None:
    """Delete sessions that have ended (expired, idle or revoked), and mailed links that expired."""
    from mscr.services.cleanup_service import SESSIONS

    deleted = _clean_up(project_of(context), SESSIONS, older_than_days, batch, yes=yes)
    say(f"deleted {deleted} ended sessions and expired links")


@commands.command("cleanup-audit")
def cleanup_audit(
    context: typer.Context,
    older_than_days: Annotated[
        int | None,
        typer.Option(
            min=0, max=36_500, help="Minimum age of the events, in days.  [AUDIT_RETENTION_DAYS]"
        ),
    ] = None,
    batch: Batch = 1000,
    yes: Yes = False,
) -> None:
    """Delete old events of the audit log."""
    from mscr.services.cleanup_service import AUDIT_EVENTS

    deleted = _clean_up(project_of(context), AUDIT_EVENTS, older_than_days, batch, yes=yes)
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
    from mscr.services.cleanup_service import IDEMPOTENCY_KEYS

    deleted = _clean_up(project_of(context), IDEMPOTENCY_KEYS, None, batch, yes=yes)
    say(f"deleted {deleted} expired idempotency keys")


@commands.command("cleanup-jobs")
def cleanup_jobs(
    context: typer.Context,
    older_than_days: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=36_500,
            help="Minimum days since the last attempt.  [DEAD_JOB_RETENTION_DAYS]",
        ),
    ] = None,
    batch: Batch = 1000,
    yes: Yes = False,
) -> None:
    """Delete jobs that died long ago. They hold addresses, for instance of mistyped mails."""
    from mscr.services.cleanup_service import DEAD_JOBS

    deleted = _clean_up(project_of(context), DEAD_JOBS, older_than_days, batch, yes=yes)
    say(f"deleted {deleted} dead jobs")


def _clean_up(
    project: "Project",
    clean_up: "CleanUp",
    older_than_days: int | None,
    batch: int,
    *,
    yes: bool,
) -> int:
    """Delete in batches, with a transaction for each. Return the number of rows.

    The first transaction records the command in the audit log, if the clean-up has an action.
    """
    settings = project.get_settings()
    require_consent(settings, yes=yes)
    retention = clean_up.retention(settings)
    if older_than_days is not None:
        retention = timedelta(days=older_than_days)
    with progress("deleting") as advance:
        return asyncio.run(_delete_all(project, clean_up, retention, batch, advance))


async def _delete_all(
    project: "Project",
    clean_up: "CleanUp",
    retention: timedelta,
    batch: int,
    advance: Callable[[int], None],
) -> int:
    from mscr.models.base import utcnow
    from mscr.services.audit_event_service import NOBODY

    before = utcnow() - retention
    total = 0
    async with open_session(project) as session:
        if clean_up.action is not None:
            # With the option, to distinguish a wiped trail from an expired one.
            command = f"{clean_up.command} --older-than-days={retention.days}"
            await audit_trail(project, session, command).record(clean_up.action, NOBODY)
        while True:
            deleted = await clean_up.delete(session, project.tables(), before, batch)
            await session.commit()
            if not deleted:
                return total
            advance(deleted)
            total += deleted


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
