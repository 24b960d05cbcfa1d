"""Map errors of the database to responses: retry later (503), conflict (409), bad value (422)."""

from typing import Final

from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm.exc import StaleDataError

from mscr.connections.error_attributes import attribute, first_line
from mscr.core.exceptions import (
    APIError,
    ConflictError,
    EditConflictError,
    ServiceUnavailableError,
    ValidationFailedError,
)
from mscr.db.violations import is_fault_of_ours


class UnreachableError(ConnectionError):
    """No connection could be made, so no statement was sent."""


# ConnectionError and TimeoutError come from failed connects to PostgreSQL (mscr/db/engine.py).
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
# Serialization failure and deadlock: PostgreSQL rolled the transaction back in favour of another.
_CONFLICTS: Final = ("40001", "40P01")
# The extended codes of SQLite have more bits above these.
_SQLITE_CODE_BITS: Final = 0xFF
# The constant of `sqlite3`, which is not imported here: on PostgreSQL nothing else needs it.
_SQLITE_BUSY: Final = 5
# SQLite's messages for a database that was not migrated, or not far enough.
NO_SCHEMA_SQLITE: Final = ("no such table", "no such column", "has no column named")


# The driver's names for a cached plan or type that does not fit the schema any more, and for a
# session that the server ended before it got the statement (mscr/db/driver_connection.py).
_OUTDATED: Final = {"InvalidCachedStatementError", "OutdatedSchemaCacheError", "SessionEndedError"}
# PostgreSQL's message for a type that was dropped, or dropped and created anew.
_TYPE_IS_GONE: Final = "cache lookup failed for type"


def database_problem(error: BaseException) -> APIError:
    """Return the error response to send; `APIError` (500) for a bug of ours. Never raises."""
    if isinstance(error, BaseExceptionGroup):
        problems = [database_problem(each) for each in error.exceptions]
        # A bug of ours takes precedence over outages.
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
    """Return whether the same transaction may succeed if it is retried.

    Deadlocks, serialization failures, outdated statements and SQLite's "busy" may. A lock timeout
    of PostgreSQL is not retried: the request has waited long enough for the holder of the lock.
    """
    orig = attribute(error, "orig")
    code = attribute(orig, "sqlite_errorcode", 0)
    is_busy = isinstance(code, int) and code & _SQLITE_CODE_BITS == _SQLITE_BUSY
    return is_busy or _sqlstate(orig) in _CONFLICTS or is_outdated(error)


def is_outdated(error: BaseException) -> bool:
    """Return whether the statement had no effect because the schema changed or the session ended.

    This covers cached plans that do not fit the new schema.
    """
    orig = attribute(error, "orig")
    kinds = {type(orig).__name__, type(attribute(orig, "__cause__")).__name__}
    return not kinds.isdisjoint(_OUTDATED) or _TYPE_IS_GONE in first_line(orig)


def database_reason(error: BaseException) -> str:
    """Return the database's message for the log. For a bad value, return only the error's class.

    The message would quote the value.
    """
    cause = attribute(error, "orig") or error
    if isinstance(database_problem(error), ValidationFailedError):
        return type(cause).__name__
    # The lines after the first are details, which quote the row.
    return first_line(cause)


def _sqlstate(orig: object) -> str:
    sqlstate = attribute(orig, "sqlstate")
    return sqlstate if isinstance(sqlstate, str) else ""


def _is_outage(error: DBAPIError, sqlstate: str) -> bool:
    # A write to a read-only server is an outage too (mscr/db/engine.py). In a session of
    # get_read_db it is a bug.
    is_invalidated = bool(attribute(error, "connection_invalidated"))
    if sqlstate:
        return is_invalidated or sqlstate.startswith(_TRY_AGAIN_CLASSES)
    if any(text in first_line(attribute(error, "orig")) for text in NO_SCHEMA_SQLITE):
        return False
    # SQLite has no SQLSTATE: locked, full and unreadable are all OperationalError there.
    return is_invalidated or isinstance(error, OperationalError)
