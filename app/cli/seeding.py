"""Demo data: first rows to develop with."""
# ruff: noqa: PLC0415

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from mscr.cli.audit import audit_trail
from mscr.cli.command_line import project_of
from mscr.cli.console import progress, say, say_accounts
from mscr.cli.database_sessions import open_session
from mscr.cli.faults import require_consent

if TYPE_CHECKING:
    from mscr.project import Project
    from mscr.services.demo_accounts import DemoAccount

commands = typer.Typer()


@commands.command()
def seed(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", help="Run in production too.")] = False,
) -> None:
    """Add demo accounts with new passwords, and their demo data, for development."""
    from app.db.init_db import ADMIN_EMAIL, USER_EMAIL

    project = project_of(context)
    require_consent(project.get_settings(), yes=yes)
    accounts = asyncio.run(add_demo_data(project, command="seed"))
    if not accounts:
        say(f"an account {ADMIN_EMAIL} or {USER_EMAIL} already exists: nothing was changed")
        return
    say("added demo data, and these accounts, whose passwords are shown only now:")
    say_accounts(accounts)


async def add_demo_data(project: "Project", *, command: str) -> "list[DemoAccount]":
    from app.core.config import get_settings
    from app.db.init_db import SEED_STEPS, seed_demo_data

    with progress("seeding", SEED_STEPS) as advance:
        async with open_session(project) as session:
            audit = audit_trail(project, session, command)
            return await seed_demo_data(session, get_settings(), audit, on_step=advance)
