"""The command line: `python -m examples.catalogue --help`."""

import asyncio
from typing import Annotated, Final

import typer

from examples.catalogue.project import project
from mscr.cli import cleanup, database, migrations, openapi, server
from mscr.cli.command_line import command_line
from mscr.cli.console import say, say_accounts
from mscr.cli.faults import require_consent

seeding: Final = typer.Typer()


@seeding.command()
def seed(
    yes: Annotated[bool, typer.Option("--yes", help="Run in production too.")] = False,
) -> None:
    """Add demo accounts with new passwords, and demo items."""
    require_consent(project.get_settings(), yes=yes)
    accounts = asyncio.run(project.add_demo_data("seed"))
    if not accounts:
        say("the demo accounts already exist: nothing was changed")
        return
    say("added items and these accounts, whose passwords are shown only now:")
    say_accounts(accounts)


# Guarded: the processes that serve import this file again when they start.
if __name__ == "__main__":
    command_line(
        project,
        server.commands,
        database.commands,
        seeding,
        cleanup.commands,
        migrations.commands,
        openapi.commands,
        about="Run and inspect the catalogue.",
    )()
