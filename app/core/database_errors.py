"""What a database's error means to a client: try again, conflict, or bad value."""

from typing import Final

from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm.exc import StaleDataError

from app.core.exceptions import (
    APIError,
    ConflictError,
    EditConflictError,
    ServiceUnavailableError,
    ValidationFailedError,
)
from app.core.violations import is_fault_of_ours


class UnreachableError(ConnectionError):
    """A connection could not be made: nothing was asked of the database."""


# ConnectionError and TimeoutError: what connecting to PostgreSQL ends with (app/db/session.py).
DATABASE_ERRORS: Final[tuple[type[Exception], ...]] = (
    DBAPIError,
    PoolTimeoutError,
    StaleDataError,
    ConnectionError,
    TimeoutError,
)

# PostgreSQL's SQLSTATE classes (appendix A of its manual).
_BAD_VALUE_CLASS: Final = "22"
_TRY_AGAIN_CLASSES: Final = (
    "08",  # connection
    "28",  # the server refuses to let us in
    "3D",  # the database is not there
    "40",  # serialization failure, deadlock
    "53",  # out of connections, memory or disk
    "55",  # lock timeout
    "57",  # statement timeout, shutdown, crash
)
# A serialization failure, and a deadlock: the transaction was ended for the sake of another one.
_CONFLICTS: Final = ("40001", "40P01")
# The extended codes of SQLite have more bits above these.
_SQLITE_CODE_BITS: Final = 0xFF
# As in `sqlite3`, which is not imported: on PostgreSQL nobody else does.
_SQLITE_BUSY: Final = 5
# What SQLite says of a database that was not migrated, or not far enough.
NO_SCHEMA_SQLITE: Final = ("no such table", "no such column", "has no column named")


def database_problem(error: Exception) -> APIError:
    """The answer to an error of `DATABASE_ERRORS`; an `APIError` (500) for a fault of ours."""
    if isinstance(error, StaleDataError):
        return EditConflictError()
    if not isinstance(error, DBAPIError):
        return ServiceUnavailableError()
    if isinstance(error, IntegrityError):
        return APIError() if is_fault_of_ours(error) else ConflictError()
    sqlstate = getattr(error.orig, "sqlstate", None) or ""
    refused_by_driver = isinstance(error.orig, OverflowError | UnicodeEncodeError) or isinstance(
        getattr(error.orig, "driver_exception", None), ValueError
    )
    if sqlstate.startswith(_BAD_VALUE_CLASS) or refused_by_driver:
        return ValidationFailedError()
    if _is_outage(error, sqlstate):
        return ServiceUnavailableError()
    return APIError()


def is_conflict(error: DBAPIError) -> bool:
    """Whether the same transaction may succeed when it is done again.

    Not after a lock timeout on PostgreSQL: whoever holds the lock has had its time.
    """
    code = getattr(error.orig, "sqlite_errorcode", 0) & _SQLITE_CODE_BITS
    sqlstate = getattr(error.orig, "sqlstate", None)
    return sqlstate in _CONFLICTS or code == _SQLITE_BUSY


def database_reason(error: Exception) -> str:
    """What the database said, for the log; for a bad value, which it would quote, only its kind."""
    cause = getattr(error, "orig", error)
    if isinstance(database_problem(error), ValidationFailedError):
        return type(cause).__name__
    # What follows the first line are details, which quote the row.
    return str(cause).partition("\n")[0]


def _is_outage(error: DBAPIError, sqlstate: str) -> bool:
    # A write to a read-only server is one too (app/db/session.py); through get_read_db it is a bug.
    if sqlstate:
        return error.connection_invalidated or sqlstate.startswith(_TRY_AGAIN_CLASSES)
    if any(text in str(error.orig) for text in NO_SCHEMA_SQLITE):
        return False
    # SQLite has no SQLSTATE: locked, full and unreadable are all OperationalError there.
    return error.connection_invalidated or isinstance(error, OperationalError)
