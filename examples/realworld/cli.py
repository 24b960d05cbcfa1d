"""The commands of `python -m examples.realworld`."""

from examples.realworld.project import project
from mscr.cli import database, migrations, openapi, routes, server
from mscr.cli.command_line import command_line

app = command_line(
    project,
    server.commands,
    database.commands,
    migrations.commands,
    routes.commands,
    openapi.commands,
    about="Run and inspect Conduit.",
)
