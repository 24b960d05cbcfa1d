"""What a database's error means to a client: try again, conflict, or bad value."""

from typing import Final

from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm.exc import StaleDataError

from app.core.error_attributes import attribute, first_line
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


# A prepared statement that does not fit the schema any more (the driver's names), and a session
# that the server ended before it got the statement (app/db/driver_connection.py).
_OUTDATED: Final = {"InvalidCachedStatementError", "OutdatedSchemaCacheError", "SessionEndedError"}
# The same of a type that was dropped, or dropped and created anew.
_TYPE_IS_GONE: Final = "cache lookup failed for type"


def database_problem(error: BaseException) -> APIError:
    """Return the answer to an error; an `APIError` (500) for a fault of ours. Never raises."""
    if isinstance(error, BaseExceptionGroup):
        problems = [database_problem(each) for each in error.exceptions]
        # A fault of ours is the one to know of.
        return next((each for each in problems if type(each) is APIError), problems[0])
    if isinstance(error, StaleDataError):
        return EditConflictError()
    if not isinstance(error, DBAPIError):
        return ServiceUnavailableError() if isinstance(error, DATABASE_ERRORS) else APIError()
    if isinstance(error, IntegrityError):
        return APIError() if is_fault_of_ours(error) else ConflictError()
    return _problem_of_driver(error)


def _problem_of_driver(error: DBAPIError) -> APIError:
    orig = attribute(error, "orig")
    sqlstate = _sqlstate(orig)
    refusals = orig, attribute(orig, "driver_exception")
    if sqlstate.startswith(_BAD_VALUE_CLASS) or _is_refused_value(*refusals):
        return ValidationFailedError()
    if is_outdated(error) or _is_outage(error, sqlstate):
        return ServiceUnavailableError()
    return APIError()


def _is_refused_value(orig: object, driver_error: object) -> bool:
    return isinstance(orig, OverflowError | UnicodeEncodeError) or isinstance(
        driver_error, ValueError
    )


def is_conflict(error: DBAPIError) -> bool:
    """Whether the same transaction may succeed when it is done again.

    Not after a lock timeout on PostgreSQL: whoever holds the lock has had its time.
    """
    orig = attribute(error, "orig")
    code = attribute(orig, "sqlite_errorcode", 0)
    is_busy = isinstance(code, int) and code & _SQLITE_CODE_BITS == _SQLITE_BUSY
    return is_busy or _sqlstate(orig) in _CONFLICTS or is_outdated(error)


def is_outdated(error: BaseException) -> bool:
    """Return whether a statement did nothing as the schema changed, or the session ended."""
    orig = attribute(error, "orig")
    kinds = {type(orig).__name__, type(attribute(orig, "__cause__")).__name__}
    return not kinds.isdisjoint(_OUTDATED) or _TYPE_IS_GONE in first_line(orig)


def database_reason(error: BaseException) -> str:
    """What the database said, for the log; for a bad value, which it would quote, only its kind."""
    cause = attribute(error, "orig") or error
    if isinstance(database_problem(error), ValidationFailedError):
        return type(cause).__name__
    # What follows the first line are details, which quote the row.
    return first_line(cause)


def _sqlstate(orig: object) -> str:
    sqlstate = attribute(orig, "sqlstate")
    return sqlstate if isinstance(sqlstate, str) else ""


def _is_outage(error: DBAPIError, sqlstate: str) -> bool:
    # A write to a read-only server is one too (app/db/session.py); through get_read_db it is a bug.
    is_invalidated = bool(attribute(error, "connection_invalidated"))
    if sqlstate:
        return is_invalidated or sqlstate.startswith(_TRY_AGAIN_CLASSES)
    if any(text in first_line(attribute(error, "orig")) for text in NO_SCHEMA_SQLITE):
        return False
    # SQLite has no SQLSTATE: locked, full and unreadable are all OperationalError there.
    return is_invalidated or isinstance(error, OperationalError)
