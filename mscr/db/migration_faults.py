"""Faults of a running migration: its revision, the cause and the remedy."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Final

from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError, IntegrityError

from mscr.connections.diagnosis import Diagnosis, Service, diagnose, first_line
from mscr.db.migration_lock import MigrationLockError

_WRONG_MIGRATION: Final = "correct the migration: no earlier one created that object"
ROWS: Final = "correct the rows that conflict with it, and run it again: it was rolled back"
UNRECORDED: Final = (
    "record the revision that the database is at (alembic stamp REVISION), or use an empty one"
)
MERGE: Final = 'join them: alembic merge heads -m "Join two branches"'
BRING_UP: Final = "upgrade it: alembic upgrade head"
_UNKNOWN: Final = re.compile(r"Can't locate revision identified by '([^']*)'")


@contextmanager
def in_one_line(service: Service, *, where: str) -> Iterator[None]:
    """Raise `CommandError` for expected faults: the `alembic` command prints it as one line.

    A bug in a migration's own Python code keeps its traceback. `where` names the database.
    """
    try:
        yield
    except MigrationLockError as error:
        raise CommandError(str(error)) from error
    except Exception as error:
        if (found := diagnose_migration(error, service, where=where)) is None:
            raise
        raise CommandError(str(found)) from error


def diagnose_migration(error: Exception, service: Service, *, where: str) -> Diagnosis | None:
    """Return the cause, with the revision that failed, or None for a bug."""
    if isinstance(error, CommandError) and (found := _of_revisions(error)):
        return found
    revision = failing_revision(error)
    if revision is not None and isinstance(error, DBAPIError):
        found = _of_statement(error, service)
        return replace(found, cause=f"revision {revision} failed: {found.cause}")
    if revision is not None or (isinstance(error, CommandError) and error.__cause__ is None):
        return None
    if isinstance(error, IntegrityError):
        # A deferred constraint, which is checked at COMMIT.
        return _of_statement(error, service)
    found = diagnose(error, service)
    return found and replace(found, cause=f"cannot use {where}: {found.cause}")


def failing_revision(error: BaseException) -> str | None:
    """Return the revision whose module is in the traceback, if any."""
    for each in _frames(error.__traceback__):
        if {"revision", "down_revision"} <= each.keys():
            return str(each["revision"])
    return None


def _frames(traceback: TracebackType | None) -> Iterator[dict[str, object]]:
    while traceback is not None:
        yield traceback.tb_frame.f_globals
        traceback = traceback.tb_next


def _of_revisions(error: CommandError) -> Diagnosis | None:
    if unknown := _UNKNOWN.search(str(error)):
        cause = f"this code has no revision {unknown[1]}, which is the database's or was requested"
        return Diagnosis(cause, "deploy the code that has it")
    if "Multiple head revisions" in str(error):
        return Diagnosis("the migrations have two heads or more", MERGE)
    if "not up to date" in str(error):
        return Diagnosis("the database is not at the newest migration", BRING_UP)
    return None


def _of_statement(error: DBAPIError, service: Service) -> Diagnosis:
    words = first_line(str(error.orig).rpartition(">: ")[2])
    if isinstance(error, IntegrityError):
        return Diagnosis(words, ROWS)
    if "already exists" in words:
        return Diagnosis(words, UNRECORDED)
    found = diagnose(error, replace(service, migrate=_WRONG_MIGRATION))
    return found or Diagnosis(words, "correct the migration")
