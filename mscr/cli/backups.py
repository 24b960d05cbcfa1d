"""Commands that back up and restore an SQLite database. PostgreSQL has its own programs."""
# ruff: noqa: PLC0415

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from mscr.cli.command_line import project_of
from mscr.cli.console import remark, say
from mscr.cli.faults import BRING_UP, Fault, require_consent

if TYPE_CHECKING:
    from mscr.core.config import Settings
    from mscr.project import Project

GUIDE: Final = "docs/backups.md"

commands = typer.Typer()


@commands.command("backup-database")
def backup_database(
    context: typer.Context,
    target: Annotated[Path, typer.Argument(help="The file to create.")],
) -> None:
    """Write a consistent copy of the SQLite database to a new file, even while it is in use."""
    from mscr.db.sqlite_backup import back_up

    database = _file_of(project_of(context).get_settings())
    if not database.is_file():
        raise Fault(f"SQLite {database} does not exist", BRING_UP)
    with _faults():
        back_up(database, target)
    say(f"wrote {target}, {target.stat().st_size:,} bytes, checked")


@commands.command("restore-database")
def restore_database(
    context: typer.Context,
    backup: Annotated[Path, typer.Argument(help="A file written by backup-database.")],
    yes: Annotated[bool, typer.Option("--yes", help="Run in production too.")] = False,
) -> None:
    """Replace the SQLite database with a backup. The application must not be running."""
    from mscr.db.sqlite_backup import read_revisions, restore

    project = project_of(context)
    settings = project.get_settings()
    require_consent(settings, yes=yes)
    database = _file_of(settings)
    with _faults():
        revisions = read_revisions(backup)
        is_newest = _require_known(project, revisions, backup)
        restore(backup, database)
    say(f"restored SQLite {database} from {backup}, at {', '.join(sorted(revisions))}")
    if not is_newest:
        remark(f"it is older than this code; {BRING_UP}")
    remark("sessions that had ended may be valid again; to end all: python cli.py end-all-sessions")


def _file_of(settings: "Settings") -> Path:
    if not settings.is_sqlite:
        raise Fault("the database is PostgreSQL", f"use pg_dump and pg_restore: {GUIDE}")
    return Path(str(settings.database_url.database))


def _require_known(project: "Project", revisions: set[str], backup: Path) -> bool:
    """Return whether the backup is at the newest migration.

    Raises `Fault` for a database of another application, or with migrations of newer code.
    """
    from alembic.script import ScriptDirectory

    from mscr.db.migrations import alembic_config

    scripts = ScriptDirectory.from_config(alembic_config(project.root))
    known = {script.revision for script in scripts.walk_revisions()}
    if not revisions:
        raise Fault(f"{backup} is not a database of this application", "name another backup")
    if strange := revisions - known:
        detail = f"{backup} is at {', '.join(sorted(strange))}, which this code does not have"
        raise Fault(detail, "restore it with the code that has it")
    return revisions == set(scripts.get_heads())


@contextmanager
def _faults() -> Iterator[None]:
    from mscr.db.sqlite_backup import BackupError

    try:
        yield
    except BackupError as error:
        raise Fault(error.detail, error.remedy) from error
