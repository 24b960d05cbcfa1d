"""Identify the constraint that a write has violated."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, cast

from sqlalchemy import Index, Table, UniqueConstraint
from sqlalchemy.exc import IntegrityError

from mscr.connections.error_attributes import attribute, first_line
from mscr.core.exceptions import APIError
from mscr.db.violations import driver_error, violates_primary_key
from mscr.models.base import ModelBase

# Errors of duplicates, by the names of the unique constraints and indexes that refuse them.
UniqueErrors = Mapping[str, type[APIError]]
NO_UNIQUE_ERRORS: Final[UniqueErrors] = MappingProxyType({})

_UNIQUE_SQLSTATE = "23505"
_SQLITE_UNIQUE = re.compile(r"UNIQUE constraint failed: (?P<columns>[\w., ]+)")


def refuse_duplicate(
    error: IntegrityError, model: type[ModelBase], unique_errors: UniqueErrors
) -> None:
    """Raise the API error of the violated constraint, if `unique_errors` has one."""
    for name, duplicate in unique_errors.items():
        if violates_unique(error, model, name):
            raise duplicate from None


def violates_unique(error: IntegrityError, model: type[ModelBase], name: str) -> bool:
    """Return whether the unique constraint or index `name` of `model` was violated.

    PostgreSQL's error has its name, SQLite's only the columns.
    """
    constraint = attribute(driver_error(error), "constraint_name")
    if constraint is not None:
        return bool(constraint == name)
    found = _SQLITE_UNIQUE.search(first_line(error.orig))
    return found is not None and found["columns"].split(", ") == _columns(model, name)


def violates_uniqueness(error: IntegrityError) -> bool:
    """Return whether a unique constraint or index was violated by a duplicate from a client.

    Duplicates of primary keys do not count: the database generates those.
    """
    if violates_primary_key(error):
        return False
    sqlstate = attribute(error.orig, "sqlstate")
    return sqlstate == _UNIQUE_SQLSTATE or _SQLITE_UNIQUE.search(first_line(error.orig)) is not None


def _columns(model: type[ModelBase], name: str) -> list[str]:
    table = cast("Table", model.__table__)
    uniques: list[Index | UniqueConstraint] = [
        *table.indexes,
        *(c for c in table.constraints if isinstance(c, UniqueConstraint)),
    ]
    named = next(unique for unique in uniques if unique.name == name)
    return [f"{table.name}.{column.name}" for column in named.columns]
