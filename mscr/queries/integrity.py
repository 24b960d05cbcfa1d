"""Which constraint a write ran into."""

import re
from typing import cast

from sqlalchemy import Index, Table, UniqueConstraint
from sqlalchemy.exc import IntegrityError

from app.core.error_attributes import attribute, first_line
from app.core.violations import driver_error, violates_primary_key
from app.models.base import Base

_UNIQUE_SQLSTATE = "23505"
_SQLITE_UNIQUE = re.compile(r"UNIQUE constraint failed: (?P<columns>[\w., ]+)")


def violates_unique(error: IntegrityError, model: type[Base], name: str) -> bool:
    """Whether `error` says that the unique constraint or index `name` of `model` was violated.

    PostgreSQL names it; SQLite tells only its columns.
    """
    constraint = attribute(driver_error(error), "constraint_name")
    if constraint is not None:
        return bool(constraint == name)
    found = _SQLITE_UNIQUE.search(first_line(error.orig))
    return found is not None and found["columns"].split(", ") == _columns(model, name)


def violates_uniqueness(error: IntegrityError) -> bool:
    """Whether a unique constraint or index was violated that a client can run into."""
    if violates_primary_key(error):
        return False
    sqlstate = attribute(error.orig, "sqlstate")
    return sqlstate == _UNIQUE_SQLSTATE or _SQLITE_UNIQUE.search(first_line(error.orig)) is not None


def _columns(model: type[Base], name: str) -> list[str]:
    table = cast("Table", model.__table__)
    uniques: list[Index | UniqueConstraint] = [
        *table.indexes,
        *(c for c in table.constraints if isinstance(c, UniqueConstraint)),
    ]
    named = next(unique for unique in uniques if unique.name == name)
    return [f"{table.name}.{column.name}" for column in named.columns]
