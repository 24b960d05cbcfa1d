"""Database: its schema, its first rows, its upkeep."""
# ruff: noqa: PLC0415

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.console import progress, say
from app.cli.faults import REPAIR, Fault, database_name, listed, require_consent
from app.cli.seeding import add_demo_data, add_many_items, say_accounts
from app.cli.sessions import audit_trail, open_session

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    DeleteBatch = Callable[[AsyncSession, datetime, int], Awaitable[int]]

Yes = Annotated[bool, typer.Option("--yes", help="Do it in production too.")]
Batch = Annotated[int, typer.Option(min=1, max=100_000, help="Rows in one transaction.")]

commands = typer.Typer()


@commands.command("init-db")
def init_db() -> None:
    """Bring the database to the newest migration, and check that its schema fits the code."""
    from app.core.config import get_settings

    name = database_name(get_settings())
    applied = migrate()
    for migration in applied:
        say(f"applied {migration}")
    if missing := asyncio.run(_missing()):
        raise Fault(f"{name} is at the newest migration, but {listed(missing)}", REPAIR)
    say(f"{name} is at the newest migration" + ("" if applied else ": nothing to do"))


@commands.command()
def seed(
    items: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=5_000_000,
            help="Instead: bring items of owners whom nobody can log in as to this number.",
        ),
    ] = None,
    yes: Yes = False,
) -> None:
    """Add demo accounts with new passwords, and items, to develop with."""
    from app.core.config import get_settings
    from app.db.init_db import ADMIN_EMAIL, DEMO_ITEMS, USER_EMAIL

    settings = get_settings()
    require_consent(settings, yes=yes)
    if items is not None:
        say(f"added {asyncio.run(add_many_items(items))} items: there are {items} now, or more")
        return
    accounts = asyncio.run(add_demo_data(settings, command="seed"))
    if not accounts:
        say(f"there is an account {ADMIN_EMAIL} or {USER_EMAIL} already: nothing was changed")
        return
    say(f"added {DEMO_ITEMS} items and these accounts, whose passwords are shown only now:")
    say_accounts(accounts)


@commands.command("cleanup-tokens")
def cleanup_tokens(
    older_than_days: Annotated[
        int, typer.Option(min=0, max=36_500, help="Only logins that ended so long ago.")
    ] = 30,
    batch: Batch = 1000,
    yes: Yes = False,
) -> None:
    """Delete logins that have ended: expired, idle for too long, or revoked."""
    say(f"deleted {_clean_up(_delete_dead_tokens, older_than_days, batch, yes=yes)} ended logins")


@commands.command("cleanup-audit")
def cleanup_audit(
    older_than_days: Annotated[
        int, typer.Option(min=0, max=36_500, help="Only what happened so long ago.")
    ] = 365,
    batch: Batch = 1000,
    yes: Yes = False,
) -> None:
    """Delete old events of the audit log."""
    # How it was run belongs to it: a trail that was wiped is told from one that grew old.
    command = f"cleanup-audit --older-than-days={older_than_days}"
    deleted = _clean_up(_delete_old_events, older_than_days, batch, yes=yes, record_as=command)
    say(f"deleted {deleted} events of the audit log")


@commands.command("purge-deleted")
def purge_deleted(
    older_than_days: Annotated[
        # Not less than a day: a mailed link to register, which lasts so long at most, must find
        # the account that its owner has made with it and deleted.
        int | None,
        typer.Option(
            min=1, max=36_500, help="Only what was deleted so long ago.  [DELETED_RETENTION_DAYS]"
        ),
    ] = None,
    batch: Batch = 1000,
    yes: Yes = False,
) -> None:
    """Remove for good what was deleted long ago, from every table."""
    from app.core.config import get_settings

    settings = get_settings()
    require_consent(settings, yes=yes)
    days = older_than_days or settings.DELETED_RETENTION_DAYS
    with progress("purging") as advance:
        counts = asyncio.run(_purge_all(days, batch, advance))
    for table, count in counts.items():
        say(f"purged {count} rows of {table}")
    if not counts:
        say(f"nothing was deleted {days} days ago or before: nothing to purge")


@commands.command("cleanup-idempotency-keys")
def cleanup_idempotency_keys(batch: Batch = 1000, yes: Yes = False) -> None:
    """Delete the answers that were kept for requests that are sent again, when they expired."""
    say(f"deleted {_clean_up(_delete_expired_keys, 0, batch, yes=yes)} expired idempotency keys")


def migrate() -> list[str]:
    """What `app.db.init_db.init_db` does, with `Fault` for what may go wrong."""
    from alembic.util import CommandError

    from app.core.backing_services import DATABASE
    from app.core.config import get_settings
    from app.db.init_db import init_db as upgrade
    from app.db.migration_faults import in_one_line

    try:
        with in_one_line(DATABASE, where=database_name(get_settings())):
            return upgrade()
    except CommandError as error:
        raise Fault(str(error)) from error


async def _missing() -> list[str]:
    """Return what requests need and the schema lacks: a migration may be edited once it has run."""
    from app.db.schema_check import find_faults
    from app.db.search_index import search_columns
    from app.models import Base

    async with open_session(read_only=True) as session:
        connection = await session.connection()
        faults = await connection.run_sync(find_faults, Base.metadata, search_columns)
        return [str(fault) for fault in faults if fault.is_fatal]


def _clean_up(
    delete: "DeleteBatch",
    older_than_days: int,
    batch: int,
    *,
    yes: bool,
    record_as: str | None = None,
) -> int:
    """Delete batch by batch, each in a transaction of its own; how many rows there were.

    The first of them notes in the audit log what `record_as` says, if anything.
    """
    from app.core.config import get_settings
    from app.models.base import utcnow

    require_consent(get_settings(), yes=yes)
    before = utcnow() - timedelta(days=older_than_days)
    with progress("deleting") as advance:
        return asyncio.run(_delete_all(delete, before, batch, advance, record_as))


async def _delete_all(
    delete: "DeleteBatch",
    before: datetime,
    batch: int,
    advance: Callable[[int], None],
    record_as: str | None,
) -> int:
    total = 0
    async with open_session() as session:
        if record_as is not None:
            await _record_cleanup(session, record_as)
        while True:
            deleted = await delete(session, before, batch)
            await session.commit()
            if not deleted:
                return total
            advance(deleted)
            total += deleted


async def _record_cleanup(session: "AsyncSession", command: str) -> None:
    from app.models.audit_event import AuditAction
    from app.services.audit_event_service import NOBODY

    await audit_trail(session, command).record(AuditAction.CLEANUP_AUDIT, NOBODY)


async def _delete_dead_tokens(session: "AsyncSession", before: datetime, batch: int) -> int:
    from app.repositories.refresh_token_repository import RefreshTokenRepository

    return await RefreshTokenRepository(session).delete_dead(before=before, batch=batch)


async def _delete_old_events(session: "AsyncSession", before: datetime, batch: int) -> int:
    from app.repositories.audit_event_repository import AuditEventRepository

    return await AuditEventRepository(session).delete_older(before=before, batch=batch)


async def _purge_all(days: int, batch: int, advance: Callable[[int], None]) -> dict[str, int]:
    from app.models.base import utcnow
    from app.repositories.deleted_row_repository import DeletedRowRepository, soft_deleting_tables
    from app.services.purge_service import PurgeService

    before = utcnow() - timedelta(days=days)
    async with open_session() as session:
        audit = audit_trail(session, f"purge-deleted --older-than-days={days}")
        repos = [DeletedRowRepository(table, session) for table in soft_deleting_tables()]
        return await PurgeService(repos, audit).purge(before=before, batch=batch, on_batch=advance)


async def _delete_expired_keys(session: "AsyncSession", before: datetime, batch: int) -> int:
    from app.repositories.idempotency_key_repository import IdempotencyKeyRepository

    return await IdempotencyKeyRepository(session).delete_expired(before=before, batch=batch)
