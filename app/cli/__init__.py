"""The commands of `cli.py`: one file a group.

A command imports what it needs when it runs: so `--help` is fast, and works with a configuration
that does not. That is why `PLC0415` is off in this package.
"""

import typer

from app.cli.backups import commands as backups
from app.cli.command_line import CommandLine
from app.cli.configuration import commands as configuration
from app.cli.copying import commands as copying
from app.cli.database import commands as database
from app.cli.doctor import commands as doctor
from app.cli.encryption import commands as encryption
from app.cli.migrations import commands as migrations
from app.cli.openapi import commands as openapi_commands
from app.cli.routes import commands as routes
from app.cli.server import commands as server
from app.cli.users import commands as users

app = typer.Typer(
    cls=CommandLine,
    help="Run, look after and inspect this application.",
    invoke_without_command=True,
    add_completion=False,
    # The pretty tracebacks print local variables, passwords among them.
    pretty_exceptions_enable=False,
)
GROUPS = (
    *(server, database, backups, copying, migrations, encryption, users),
    *(doctor, routes, openapi_commands, configuration),
)
for group in GROUPS:
    app.add_typer(group)


@app.callback()
def show_help(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
