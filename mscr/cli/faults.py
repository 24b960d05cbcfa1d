"""What may well go wrong, told in one line that says what to do about it."""
# ruff: noqa: PLC0415

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import typer

from app.core.backing_services import DATABASE
from app.core.diagnosis import Service, diagnose, first_line

if TYPE_CHECKING:
    from pydantic import ValidationError

    from app.core.config import Settings

BRING_UP: Final = DATABASE.migrate
REPAIR: Final = (
    "write a migration that adds what is missing: this code has none, or one was edited after this "
    "database had run it"
)
# The first few of many show which migration was edited.
MOST_FAULTS: Final = 10


class Fault(typer.TyperException):
    """Ends the command with status 1 and one line: what is wrong, and what to do about it."""

    def __init__(self, detail: str, remedy: str = "") -> None:
        super().__init__(f"{detail}; {remedy}" if remedy else detail)
        self.detail = detail
        self.remedy = remedy


def require_consent(settings: "Settings", *, yes: bool) -> None:
    """Raises `Fault` in production, unless the caller said `--yes`."""
    if settings.is_production and not yes:
        raise Fault("this is production, and the command changes data", "repeat it with --yes")


def validation_line(error: "ValidationError") -> str:
    """What is wrong with which value; never the value itself."""
    faults = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(f"{fault['loc'][0]}: {fault['msg']}" for fault in faults)


def listed(faults: Sequence[str]) -> str:
    """Join the first few faults of a schema."""
    more = f", and {len(faults) - MOST_FAULTS} more" if len(faults) > MOST_FAULTS else ""
    return ", ".join(faults[:MOST_FAULTS]) + more


def database_name(settings: "Settings") -> str:
    """Which database the settings mean, without user and password."""
    from app.core.server_urls.database import name_of

    return name_of(settings.database_url)


@contextmanager
def database_faults(service: Service = DATABASE) -> Iterator[None]:
    """Turn an outage, a refusal or a missing schema into a `Fault`; other errors are bugs."""
    from app.core.config import get_settings
    from app.core.database_errors import DATABASE_ERRORS

    try:
        yield
    except BrokenPipeError:
        # The reader of our own output has gone: no fault of the database.
        raise
    except DATABASE_ERRORS as error:
        if (fault := _database_fault(error, service, get_settings())) is None:
            raise
        raise fault from error


def _database_fault(error: Exception, service: Service, settings: "Settings") -> Fault | None:
    from sqlalchemy.exc import DataError, IntegrityError, ProgrammingError

    found = diagnose(error, service)
    if found is not None and found.remedy == BRING_UP:
        return Fault(f"the database has no schema, or an old one: {found.cause}", BRING_UP)
    name = database_name(settings) if service is DATABASE else service.setting
    if found is not None:
        return Fault(f"cannot use {name}: {found.cause}", found.remedy)
    if isinstance(error, DataError | IntegrityError | ProgrammingError):
        return None
    words = first_line(str(getattr(error, "orig", error)))
    return Fault(f"cannot use {name}: {words}", f"check {service.setting}")
