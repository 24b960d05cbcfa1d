"""Compare the schema of a database with the tables that the code declares.

The schema must have all that the code needs, and may have more: tables, columns and longer texts of
a newer release. Old processes can therefore run on a newer schema (a rolling deployment).
"""

import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from enum import Enum as PyEnum
from typing import Any, Final

import structlog
from sqlalchemy import (
    CheckConstraint,
    Column,
    Connection,
    Constraint,
    Index,
    MetaData,
    Table,
    UniqueConstraint,
)
from sqlalchemy.engine.interfaces import ReflectedColumn
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from mscr.db.column_types import is_unfit
from mscr.db.reflected_schema import IndexShape, ReflectedSchema, name_of

log = structlog.get_logger(__name__)

# Returns (table, column) for the columns that no model declares, for the dialect of this name.
Undeclared = Callable[[str], Iterable[tuple[str, str]]]

_LOCK_TIMEOUT: Final = "55P03"
# Much shorter than the timeout of a probe.
_LOCK_WAIT_MILLISECONDS: Final = 300
_LITERAL: Final = re.compile(r"'([^']*)'")


@dataclass(frozen=True, slots=True)
class SchemaFault:
    """A requirement of the code that the schema does not meet.

    `is_fatal`: requests fail or return wrong results. Other faults cost speed or a safeguard.
    """

    detail: str
    is_fatal: bool = True

    def __str__(self) -> str:
        return self.detail


class SchemaState(str, PyEnum):
    MISSING = "missing"
    OUTDATED = "outdated"
    CURRENT = "current"


class SchemaCheck:
    """Compares until the schema passes once, and never again in the life of the process."""

    def __init__(self, metadata: MetaData, undeclared: Undeclared) -> None:
        self._metadata = metadata
        self._undeclared = undeclared
        self._passed = False
        self._logged: list[str] = []

    async def passes(self, connection: AsyncConnection) -> bool:
        """Return whether the code can run on this schema. Log what is missing, once.

        While a table is locked, return True, and compare the next time.
        """
        if self._passed:
            return True
        try:
            faults = await self._compare(connection)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != _LOCK_TIMEOUT:
                raise
            log.warning("schema_not_compared", reason="a table is locked")
            return True
        self._passed = not any(fault.is_fatal for fault in faults)
        self._log([str(fault) for fault in faults])
        return self._passed

    async def _compare(self, connection: AsyncConnection) -> list[SchemaFault]:
        if connection.dialect.name == "sqlite":
            return await connection.run_sync(find_faults, self._metadata, self._undeclared)
        driver: Any = (await connection.get_raw_connection()).driver_connection
        # An autocommit connection needs a transaction for SET LOCAL.
        async with nullcontext() if driver.is_in_transaction() else _transaction(connection):
            # Reading the definition of an index or a default waits while the table is altered.
            await connection.exec_driver_sql(f"SET LOCAL lock_timeout = {_LOCK_WAIT_MILLISECONDS}")
            return await connection.run_sync(find_faults, self._metadata, self._undeclared)

    def _log(self, details: list[str]) -> None:
        if details not in ([], self._logged):
            emit = log.warning if self._passed else log.error
            emit("schema_differs", usable=self._passed, missing=details)
        self._logged = details


@asynccontextmanager
async def _transaction(connection: AsyncConnection) -> AsyncIterator[None]:
    await connection.exec_driver_sql("BEGIN READ ONLY")
    try:
        yield
    except DBAPIError:
        await connection.exec_driver_sql("ROLLBACK")
        raise
    # Not in a `finally`: after a cancellation, there is no connection any more.
    await connection.exec_driver_sql("ROLLBACK")


def find_faults(
    connection: Connection, metadata: MetaData, undeclared: Undeclared
) -> list[SchemaFault]:
    """List faults in the tables of `metadata` and the undeclared columns, fatal ones first."""
    others = list(undeclared(connection.dialect.name))
    found = ReflectedSchema(connection, metadata, [table for table, _ in others])
    faults = [fault for table in metadata.tables.values() for fault in _table(found, table)]
    faults += [
        SchemaFault(f"column {table}.{column} is missing")
        for table, column in others
        if column not in found.columns.get((None, table), {})
    ]
    return sorted(faults, key=lambda fault: not fault.is_fatal)


def _table(found: ReflectedSchema, table: Table) -> Iterator[SchemaFault]:
    key = (table.schema, table.name)
    columns = found.columns.get(key)
    if columns is None:
        yield SchemaFault(f"table {table.name} is missing")
        return
    for column in table.columns:
        yield from _column(found, column, columns.get(column.name))
    for name, stranger in columns.items():
        if name not in table.columns and _must_be_given(stranger):
            detail = f"column {table.name}.{name}, which this code does not write, has no default"
            yield SchemaFault(detail)
    if found.keys[key] != {column.name for column in table.primary_key.columns}:
        yield SchemaFault(f"the primary key of {table.name} is missing or different")
    yield from _indexes(found, table, found.indexes[key])
    yield from _references(table, found.foreign_keys[key])
    yield from _checks(found, table, found.checks[key])


def _must_be_given(column: ReflectedColumn) -> bool:
    if column["nullable"] or column.get("default") is not None:
        return False
    return not (column.get("computed") or column.get("identity"))


def _column(
    found: ReflectedSchema, column: Column[Any], actual: ReflectedColumn | None
) -> Iterator[SchemaFault]:
    name = f"column {column.table.name}.{column.name}"
    if actual is None:
        yield SchemaFault(f"{name} is missing")
        return
    if is_unfit(actual["type"], column.type, found.dialect):
        needed = column.type.compile(found.dialect)
        yield SchemaFault(f"{name} is {actual['type'].compile(found.dialect)}, not {needed}")
    if column.nullable and not actual["nullable"]:
        yield SchemaFault(f"{name} does not accept null")
    if actual["nullable"] and not column.nullable and not column.primary_key:
        yield SchemaFault(f"{name} accepts null", is_fatal=False)
    if _needs_default(column, found.dialect.name) and _must_be_given(actual):
        yield SchemaFault(f"{name} has no default")


def _needs_default(column: Column[Any], dialect: str) -> bool:
    # SQLite generates integer keys without a default.
    if column is column.table.autoincrement_column:
        return dialect != "sqlite"
    return column.server_default is not None and column.default is None


def _indexes(
    found: ReflectedSchema, table: Table, actual: dict[str | None, IndexShape]
) -> Iterator[SchemaFault]:
    prepare = found.dialect.identifier_preparer
    for index in sorted(table.indexes, key=_name):
        name = str(prepare.format_index(index)).strip('"')
        # A violation of a unique index is recognized by the index's name.
        kind = "unique index" if index.unique else "index"
        needed = IndexShape.declared(index, found.dialect.name)
        if name not in actual:
            yield SchemaFault(f"{kind} {name} is missing", is_fatal=bool(index.unique))
        elif index.unique and not needed.is_like(actual[name]):
            yield SchemaFault(f"{kind} {name} is different")
    for constraint in sorted(table.constraints, key=_name):
        if not isinstance(constraint, UniqueConstraint):
            continue
        columns = frozenset(column.name for column in constraint.columns)
        needed = IndexShape(is_unique=True, columns=columns, is_partial=False)
        given = name_of(constraint, found.dialect)
        # A constraint without a name is looked up by its columns.
        candidates = [actual.get(given)] if given else actual.values()
        if needed not in candidates:
            label = given or f"of {table.name} ({', '.join(sorted(columns))})"
            yield SchemaFault(f"unique constraint {label} is missing or different")


def _name(part: Index | Constraint) -> str:
    # Sort: sets have no order, and another order of the same faults would be logged again.
    return str(part.name)


def _references(table: Table, actual: set[tuple[Any, ...]]) -> Iterator[SchemaFault]:
    for constraint in sorted(table.foreign_key_constraints, key=_name):
        names = [column.name for column in constraint.columns]
        if (*names, constraint.referred_table.name, constraint.ondelete) not in actual:
            columns = ", ".join(f"{table.name}.{name}" for name in names)
            yield SchemaFault(f"foreign key of {columns} is missing", is_fatal=False)


def _checks(
    found: ReflectedSchema, table: Table, actual: dict[str | None, str]
) -> Iterator[SchemaFault]:
    for constraint in sorted(table.constraints, key=_name):
        name = name_of(constraint, found.dialect)
        if not isinstance(constraint, CheckConstraint) or name is None:
            continue
        if name not in actual:
            yield SchemaFault(f"check {name} is missing", is_fatal=False)
            continue
        # The values of an enum. A newer release may have added some.
        options = {"literal_binds": True}
        needed = str(constraint.sqltext.compile(dialect=found.dialect, compile_kwargs=options))
        if missing := set(_LITERAL.findall(needed)) - set(_LITERAL.findall(actual[name])):
            yield SchemaFault(f"check {name} refuses {', '.join(sorted(missing))}")
