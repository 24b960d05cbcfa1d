"""Expected failures of commands, printed as one line with the remedy."""
# ruff: noqa: PLC0415

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import typer

from mscr.connections.backing_services import DATABASE
from mscr.connections.diagnosis import Service, diagnose, first_line

if TYPE_CHECKING:
    from pydantic import ValidationError

    from mscr.core.config import Settings

BRING_UP: Final = DATABASE.migrate
REPAIR: Final = (
    "write a migration that adds the missing parts (alembic revision --autogenerate): none does, "
    "or one was edited after this database had run it"
)
# A member that was added to an enum, for example.
_WIDEN: Final = (
    "if the models permit it, write a migration (alembic revision --autogenerate) and run it "
    "(alembic upgrade head)"
)
# A few of many faults suffice to identify the migration that was edited.
MOST_FAULTS: Final = 10


class Fault(typer.TyperException):
    """Ends the command with status 1 and one line: the failure and its remedy."""

    def __init__(self, detail: str, remedy: str = "") -> None:
        super().__init__(f"{detail}; {remedy}" if remedy else detail)
        self.detail = detail
        self.remedy = remedy


def require_consent(settings: "Settings", *, yes: bool) -> None:
    """Raise `Fault` in production without `--yes`."""
    if settings.is_production and not yes:
        raise Fault("this is production, and the command changes data", "repeat it with --yes")


@contextmanager
def validation_faults() -> Iterator[None]:
    """Convert a `ValidationError` to a `Fault` that names each value and its fault."""
    from pydantic import ValidationError

    try:
        yield
    except ValidationError as error:
        raise Fault(_validation_line(error)) from error


def _validation_line(error: "ValidationError") -> str:
    """Return the name and the fault of each value, never the value itself."""
    faults = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(f"{fault['loc'][0]}: {fault['msg']}" for fault in faults)


def listed(faults: Sequence[str]) -> str:
    """Join the first few faults of a schema."""
    more = f", and {len(faults) - MOST_FAULTS} more" if len(faults) > MOST_FAULTS else ""
    return ", ".join(faults[:MOST_FAULTS]) + more


def database_name(settings: "Settings") -> str:
    """Return a name for the database of the settings, without user and password."""
    from mscr.connections.urls.database import name_of

    return name_of(settings.database_url)


@contextmanager
def database_faults(settings: "Settings", service: Service = DATABASE) -> Iterator[None]:
    """Convert an outage, a refusal or a missing schema to a `Fault`. Other errors are bugs."""
    from mscr.db.database_errors import DATABASE_ERRORS

    try:
        yield
    except BrokenPipeError:
        # The reader of our output has closed the pipe: not a fault of the database.
        raise
    except DATABASE_ERRORS as error:
        if (fault := _database_fault(error, service, settings)) is None:
            raise
        raise fault from error


def _database_fault(error: Exception, service: Service, settings: "Settings") -> Fault | None:
    from sqlalchemy.exc import DataError, IntegrityError, ProgrammingError

    from mscr.db.violations import refusing_check

    found = diagnose(error, service)
    if found is not None and found.remedy == BRING_UP:
        return Fault(f"the database has no schema, or an old one: {found.cause}", BRING_UP)
    name = database_name(settings) if service is DATABASE else service.setting
    if found is not None:
        return Fault(f"cannot use {name}: {found.cause}", found.remedy)
    if isinstance(error, IntegrityError) and (check := refusing_check(error)):
        return Fault(f"the database refuses a value: check {check}", _WIDEN)
    if isinstance(error, DataError | IntegrityError | ProgrammingError):
        return None
    words = first_line(str(getattr(error, "orig", error)))
    return Fault(f"cannot use {name}: {words}", f"check {service.setting}")
