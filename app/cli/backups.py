"""Backups of an SQLite database; PostgreSQL brings its own programs."""
# ruff: noqa: PLC0415

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

from app.cli.console import remark, say
from app.cli.faults import BRING_UP, Fault, require_consent

GUIDE: Final = "docs/backups.md"

commands = typer.Typer()


@commands.command("backup-database")
def backup_database(
    target: Annotated[Path, typer.Argument(help="A new file.")],
) -> None:
    """Write a consistent copy of the SQLite database into a new file, also while it is in use."""
    from app.db.sqlite_backup import back_up

    database = _database()
    if not database.is_file():
        raise Fault(f"SQLite {database} does not exist", BRING_UP)
    with _faults():
        back_up(database, target)
    say(f"wrote {target}, {target.stat().st_size:,} bytes, checked")


@commands.command("restore-database")
def restore_database(
    backup: Annotated[Path, typer.Argument(help="What backup-database wrote.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it in production too.")] = False,
) -> None:
    """Replace the SQLite database by a backup; the application must not be running."""
    from app.core.config import get_settings
    from app.db.sqlite_backup import read_revisions, restore

    require_consent(get_settings(), yes=yes)
    database = _database()
    with _faults():
        revisions = read_revisions(backup)
        is_newest = _require_known(revisions, backup)
        restore(backup, database)
    say(f"restored SQLite {database} from {backup}, at {', '.join(sorted(revisions))}")
    if not is_newest:
        remark(f"it is older than this code; {BRING_UP}")
    remark("sessions that had ended may be open again; to end all: python cli.py end-all-sessions")


def _database() -> Path:
    from app.core.config import get_settings

    settings = get_settings()
    if not settings.is_sqlite:
        raise Fault("the database is PostgreSQL", f"use pg_dump and pg_restore: {GUIDE}")
    return Path(str(settings.database_url.database))


def _require_known(revisions: set[str], backup: Path) -> bool:
    """Raises `Fault` for a database of other code; returns whether it is at the newest."""
    from alembic.script import ScriptDirectory

    from app.db.init_db import alembic_config

    scripts = ScriptDirectory.from_config(alembic_config())
    known = {script.revision for script in scripts.walk_revisions()}
    if not revisions:
        raise Fault(f"{backup} is no database of this application", "name another backup")
    if strange := revisions - known:
        detail = f"{backup} is at {', '.join(sorted(strange))}, which this code does not have"
        raise Fault(detail, "restore it with the code that has it")
    return revisions == set(scripts.get_heads())


@contextmanager
def _faults() -> Iterator[None]:
    from app.db.sqlite_backup import BackupError

    try:
        yield
    except BackupError as error:
        raise Fault(error.detail, error.remedy) from error
