"""The commands of `cli.py`: one file a group.

A command imports what it needs only when it runs: `--help` is fast, and works with an invalid
configuration. That is why `PLC0415` is off in this package.
"""

from app.cli import seeding, users
from app.project import project
from mscr.cli import (
    backups,
    cleanup,
    configuration,
    copying,
    database,
    doctor,
    encryption,
    jobs,
    migrations,
    openapi,
    routes,
    scaffolding,
    server,
    sessions,
)
from mscr.cli.command_line import command_line

app = command_line(
    project,
    server.commands,
    database.commands,
    seeding.commands,
    cleanup.commands,
    backups.commands,
    copying.commands,
    migrations.commands,
    encryption.commands,
    users.commands,
    sessions.commands,
    jobs.commands,
    doctor.commands,
    routes.commands,
    openapi.commands,
    configuration.commands,
    scaffolding.commands,
    about="Run, look after and inspect this application.",
)
