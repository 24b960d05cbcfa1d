"""Constraint violations that no client can cause: a bug, or a damaged database."""

from typing import Any, Final

from sqlalchemy.exc import IntegrityError

from mscr.connections.error_attributes import attribute, first_line

# PostgreSQL's SQLSTATEs (appendix A of its manual).
_NOT_NULL: Final = "23502"
_UNIQUE: Final = "23505"
_CHECK: Final = "23514"
# SQLite's extended result codes. The second key code is that of tables without an integer key.
_SQLITE_CHECK: Final = 275
_SQLITE_NOT_NULL: Final = 1299
_SQLITE_PRIMARY_KEY: Final = (1555, 2579)


def is_fault_of_ours(error: IntegrityError) -> bool:
    """Return whether a generated primary key was a duplicate, or a required value was null."""
    return violates_primary_key(error) or _violates_not_null(error)


def violates_primary_key(error: IntegrityError) -> bool:
    """Return whether the primary key is a duplicate: after a bad restore, a sequence may lag."""
    code = attribute(error.orig, "sqlite_errorcode")
    if code is not None:
        return code in _SQLITE_PRIMARY_KEY
    if attribute(error.orig, "sqlstate") != _UNIQUE:
        return False
    cause = driver_error(error)
    constraint = str(attribute(cause, "constraint_name"))
    # Named by our naming convention, or by PostgreSQL's default.
    table = attribute(cause, "table_name", "")
    return constraint.startswith("pk_") or constraint == f"{table}_pkey"


def refusing_check(error: IntegrityError) -> str | None:
    """Return the name of the check constraint that refused a value, or None for another fault."""
    if attribute(error.orig, "sqlite_errorcode") == _SQLITE_CHECK:
        return first_line(error.orig).rpartition(": ")[2]
    if attribute(error.orig, "sqlstate") == _CHECK:
        return str(attribute(driver_error(error), "constraint_name"))
    return None


def driver_error(error: IntegrityError) -> Any:
    """Return the driver's exception, or None. `driver_exception` raises where there is none."""
    return attribute(error.orig, "orig")


def _violates_not_null(error: IntegrityError) -> bool:
    code = attribute(error.orig, "sqlite_errorcode")
    return code == _SQLITE_NOT_NULL or bool(attribute(error.orig, "sqlstate") == _NOT_NULL)
