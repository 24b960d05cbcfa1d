"""The command that ends all sessions."""
# ruff: noqa: PLC0415

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from mscr.cli.audit import audit_trail
from mscr.cli.command_line import project_of
from mscr.cli.console import say
from mscr.cli.database_sessions import open_session
from mscr.cli.faults import require_consent

if TYPE_CHECKING:
    from mscr.project import Project

commands = typer.Typer()


@commands.command("end-all-sessions")
def end_all_sessions(
    context: typer.Context,
    batch: Annotated[int, typer.Option(min=1, max=100_000, help="Rows in one transaction.")] = 1000,
    yes: Annotated[bool, typer.Option("--yes", help="Run in production too.")] = False,
) -> None:
    """End every session of every account, for example after a restore or the loss of a key."""
    project = project_of(context)
    require_consent(project.get_settings(), yes=yes)
    ended = asyncio.run(_end_all_sessions(project, batch))
    say(f"ended {ended} sessions; everybody must log in again")


async def _end_all_sessions(project: "Project", batch: int) -> int:
    from mscr.models.audit_event import AuditAction
    from mscr.models.base import utcnow
    from mscr.repositories.refresh_token_repository import RefreshTokenRepository
    from mscr.services.audit_event_service import NOBODY

    total = 0
    async with open_session(project) as session:
        await audit_trail(project, session, "end-all-sessions").record(
            AuditAction.LOGOUT_ALL, NOBODY
        )
        sessions = RefreshTokenRepository(session, project.tables())
        while ended := await sessions.end_any(now=utcnow(), batch=batch):
            await session.commit()
            total += ended
        await session.commit()
    return total
