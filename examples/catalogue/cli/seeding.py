"""Demo data: first rows to develop with, and many to measure with."""
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
    items: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=5_000_000,
            help="Instead, add items until there are this many, for owners that cannot log in.",
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Run in production too.")] = False,
) -> None:
    """Add demo accounts with new passwords, and demo items, for development."""
    from examples.catalogue.db.init_db import ADMIN_EMAIL, DEMO_ITEMS, USER_EMAIL

    project = project_of(context)
    require_consent(project.get_settings(), yes=yes)
    if items is not None:
        added = asyncio.run(add_many_items(project, items))
        say(f"added {added} items: there are now at least {items}")
        return
    accounts = asyncio.run(add_demo_data(project, command="seed"))
    if not accounts:
        say(f"an account {ADMIN_EMAIL} or {USER_EMAIL} already exists: nothing was changed")
        return
    say(f"added {DEMO_ITEMS} items and these accounts, whose passwords are shown only now:")
    say_accounts(accounts)


async def add_demo_data(project: "Project", *, command: str) -> "list[DemoAccount]":
    from examples.catalogue.core.config import get_settings
    from examples.catalogue.db.init_db import SEED_STEPS, seed_demo_data

    with progress("seeding", SEED_STEPS) as advance:
        async with open_session(project) as session:
            audit = audit_trail(project, session, command)
            return await seed_demo_data(session, get_settings(), audit, on_step=advance)


async def add_many_items(project: "Project", wanted: int) -> int:
    from examples.catalogue.db.many_items import seed_many_items

    with progress("seeding", wanted) as advance:
        async with open_session(project) as session:
            return await seed_many_items(session, wanted, on_items=advance)
