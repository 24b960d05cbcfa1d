"""Violated constraints that no client can cause: the application or the database is at fault."""

from typing import Any, Final

from sqlalchemy.exc import IntegrityError

# PostgreSQL's SQLSTATEs (appendix A of its manual).
_NOT_NULL: Final = "23502"
_UNIQUE: Final = "23505"
# SQLite's extended result codes; the second is of tables without an integer key.
_SQLITE_NOT_NULL: Final = 1299
_SQLITE_PRIMARY_KEY: Final = (1555, 2579)


def is_fault_of_ours(error: IntegrityError) -> bool:
    """Whether a key that the database generates was taken, or a value missing that we owe."""
    return violates_primary_key(error) or _violates_not_null(error)


def violates_primary_key(error: IntegrityError) -> bool:
    """Whether a row has this key already: after a bad restore, the sequence may lag behind."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        return code in _SQLITE_PRIMARY_KEY
    if getattr(error.orig, "sqlstate", None) != _UNIQUE:
        return False
    cause = driver_error(error)
    constraint = str(getattr(cause, "constraint_name", None))
    # By our naming convention, or by PostgreSQL's own.
    return constraint.startswith("pk_") or constraint == f"{getattr(cause, 'table_name', '')}_pkey"


def driver_error(error: IntegrityError) -> Any:
    """Return the driver's exception, or None. `driver_exception` raises where there is none."""
    return getattr(error.orig, "orig", None)


def _violates_not_null(error: IntegrityError) -> bool:
    code = getattr(error.orig, "sqlite_errorcode", None)
    return code == _SQLITE_NOT_NULL or getattr(error.orig, "sqlstate", None) == _NOT_NULL
