"""What may well go wrong, told in one line that says what to do about it."""
# ruff: noqa: PLC0415

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import typer

if TYPE_CHECKING:
    from pydantic import ValidationError

    from app.core.config import Settings

BRING_UP: Final = "bring it up: python cli.py init-db"

# PostgreSQL's SQLSTATEs (appendix A of its manual): no such table, no such column.
_NO_SCHEMA: Final = ("42P01", "42703")
_FORBIDDEN: Final = "42501"


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


def database_name(settings: "Settings") -> str:
    """Which database the settings mean, without user and password."""
    from app.core.server_urls.database import name_of

    return name_of(settings.database_url)


@contextmanager
def database_faults() -> Iterator[None]:
    """Turn an outage, a refusal or a missing schema into a `Fault`; other errors are bugs."""
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.exc import TimeoutError as PoolTimeoutError

    from app.core.config import get_settings
    from app.core.pooler import PoolerError

    try:
        yield
    except DBAPIError as error:
        if _lacks_schema(error):
            raise Fault("the database has no schema, or an old one", BRING_UP) from error
        if _is_bug(error):
            raise
        raise _unusable(get_settings(), str(error.orig)) from error
    except PoolerError as error:
        raise Fault(error.diagnosis.cause, error.diagnosis.remedy) from error
    except (PoolTimeoutError, OSError) as error:
        cause = error.__cause__ or error
        reason = getattr(cause, "strerror", None) or str(cause) or "no answer in time"
        raise _unusable(get_settings(), reason) from error


def _unusable(settings: "Settings", reason: str) -> Fault:
    first_line = reason.strip().partition("\n")[0]
    detail = f"cannot use {database_name(settings)}: {first_line}"
    remedy = "check DATABASE_URL" if settings.is_sqlite else "check that it runs, and DATABASE_URL"
    return Fault(detail, remedy)


def _lacks_schema(error: Exception) -> bool:
    from app.core.database_errors import NO_SCHEMA_SQLITE

    cause = getattr(error, "orig", None)
    if sqlstate := getattr(cause, "sqlstate", None):
        return sqlstate in _NO_SCHEMA
    return any(text in str(cause) for text in NO_SCHEMA_SQLITE)


def _is_bug(error: Exception) -> bool:
    from sqlalchemy.exc import DataError, IntegrityError, ProgrammingError

    forbidden = getattr(getattr(error, "orig", None), "sqlstate", None) == _FORBIDDEN
    return isinstance(error, DataError | IntegrityError | ProgrammingError) and not forbidden
