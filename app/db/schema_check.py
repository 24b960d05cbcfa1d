"""Compare the schema of a database with the tables that the code declares.

The code's needs have to be met, no more: tables, columns and longer texts that a newer release has
added are fine, so that old processes can run beside a new schema.
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
    inspect,
    text,
)
from sqlalchemy.engine.interfaces import ReflectedColumn
from sqlalchemy.engine.reflection import ObjectKind
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.column_types import is_unfit

log = structlog.get_logger(__name__)

# Columns that no model declares, by table, for the dialect of this name.
Undeclared = Callable[[str], Iterable[tuple[str, str]]]

_LOCK_TIMEOUT: Final = "55P03"
# Much shorter than the patience of a probe.
_LOCK_WAIT_MILLISECONDS: Final = 300
_LITERAL: Final = re.compile(r"'([^']*)'")
_INVALID_INDEXES: Final = text(
    "SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE NOT indisvalid"
)


@dataclass(frozen=True, slots=True)
class SchemaFault:
    """A need of the code that the schema does not meet.

    `is_fatal`: requests fail or give wrong answers. The others cost speed or a safeguard.
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
    """Compares until the schema is right, and never again in the life of the process."""

    def __init__(self, metadata: MetaData, undeclared: Undeclared) -> None:
        self._metadata = metadata
        self._undeclared = undeclared
        self._passed = False
        self._logged: list[str] = []

    async def passes(self, connection: AsyncConnection) -> bool:
        """Whether the code can run on this schema. Logs what is missing, once.

        While somebody holds a table locked, it passes, and is compared the next time.
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
        # In autocommit, a transaction of its own.
        async with nullcontext() if driver.is_in_transaction() else _transaction(connection):
            # What PostgreSQL says of an index or a default waits for whoever changes the table.
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
    # After a cancellation, there is no connection any more.
    await connection.exec_driver_sql("ROLLBACK")


def find_faults(
    connection: Connection, metadata: MetaData, undeclared: Undeclared
) -> list[SchemaFault]:
    """List what the tables of `metadata`, and the undeclared columns, lack: fatal faults first."""
    found = _Reflected(connection, metadata, list(undeclared(connection.dialect.name)))
    faults = [fault for table in metadata.tables.values() for fault in _table(found, table)]
    faults += [
        SchemaFault(f"column {table}.{column} is missing")
        for table, column in found.undeclared
        if column not in found.columns.get((None, table), {})
    ]
    return sorted(faults, key=lambda fault: not fault.is_fatal)


class _Reflected:
    """What the database says of the tables, read with a few queries for all of them."""

    def __init__(
        self, connection: Connection, metadata: MetaData, undeclared: list[tuple[str, str]]
    ) -> None:
        self.dialect = connection.dialect
        self.undeclared = undeclared
        self.columns: dict[Any, dict[str, ReflectedColumn]] = {}
        self.keys: dict[Any, set[str]] = {}
        self.foreign_keys: dict[Any, set[tuple[Any, ...]]] = {}
        self.checks: dict[Any, dict[str | None, str]] = {}
        self.indexes: dict[Any, dict[str | None, tuple[bool, set[Any], bool]]] = {}
        invalid: set[str] = set()
        if self.dialect.name == "postgresql":
            invalid = set(connection.scalars(_INVALID_INDEXES))
        for schema in {table.schema for table in metadata.tables.values()} | {None}:
            names = [table.name for table in metadata.tables.values() if table.schema == schema]
            if schema is None:
                names += [table for table, _ in undeclared]
            self._read(inspect(connection), schema, names)
        for found in self.indexes.values():
            for name in invalid & found.keys():
                del found[name]

    def _read(self, inspector: Any, schema: str | None, names: list[str]) -> None:
        which = {"schema": schema, "filter_names": names, "kind": ObjectKind.ANY}
        for key, columns in inspector.get_multi_columns(**which).items():
            self.columns[key] = {column["name"]: column for column in columns}
        for key, primary in inspector.get_multi_pk_constraint(**which).items():
            self.keys[key] = set(primary["constrained_columns"])
        for key, foreign in inspector.get_multi_foreign_keys(**which).items():
            self.foreign_keys[key] = {_foreign_key(one) for one in foreign}
        for key, checks in inspector.get_multi_check_constraints(**which).items():
            self.checks[key] = {check["name"]: check["sqltext"] for check in checks}
        uniques = inspector.get_multi_unique_constraints(**which)
        for key, indexes in inspector.get_multi_indexes(**which).items():
            unique = {one["name"]: (True, {*one["column_names"]}, False) for one in uniques[key]}
            self.indexes[key] = unique | {one["name"]: _index(one) for one in indexes}


def _foreign_key(found: Any) -> tuple[Any, ...]:
    ondelete = found["options"].get("ondelete")
    return (*found["constrained_columns"], found["referred_table"], ondelete)


def _index(found: Any) -> tuple[bool, set[Any], bool]:
    """Whether it is unique, its columns, and whether it is partial."""
    partial = any(option.endswith("_where") for option in found.get("dialect_options", {}))
    return bool(found["unique"]), {*found["column_names"]}, partial


def _table(found: _Reflected, table: Table) -> Iterator[SchemaFault]:
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
        yield SchemaFault(f"the primary key of {table.name} is missing, or another one")
    yield from _indexes(found, table, found.indexes[key])
    yield from _references(table, found.foreign_keys[key])
    yield from _checks(found, table, found.checks[key])


def _must_be_given(column: ReflectedColumn) -> bool:
    if column["nullable"] or column.get("default") is not None:
        return False
    return not (column.get("computed") or column.get("identity"))


def _column(
    found: _Reflected, column: Column[Any], actual: ReflectedColumn | None
) -> Iterator[SchemaFault]:
    name = f"column {column.table.name}.{column.name}"
    if actual is None:
        yield SchemaFault(f"{name} is missing")
        return
    if is_unfit(actual["type"], column.type, found.dialect):
        needed = column.type.compile(found.dialect)
        yield SchemaFault(f"{name} is {actual['type'].compile(found.dialect)}, not {needed}")
    if column.nullable and not actual["nullable"]:
        yield SchemaFault(f"{name} takes no null")
    if actual["nullable"] and not column.nullable and not column.primary_key:
        yield SchemaFault(f"{name} takes nulls", is_fatal=False)
    if _needs_default(column, found.dialect.name) and _must_be_given(actual):
        yield SchemaFault(f"{name} has no default")


def _needs_default(column: Column[Any], dialect: str) -> bool:
    # SQLite numbers the rows by itself.
    if column is column.table.autoincrement_column:
        return dialect != "sqlite"
    return column.server_default is not None and column.default is None


def _indexes(
    found: _Reflected, table: Table, actual: dict[str | None, tuple[bool, set[Any], bool]]
) -> Iterator[SchemaFault]:
    prepare = found.dialect.identifier_preparer
    for index in sorted(table.indexes, key=_name):
        name = str(prepare.format_index(index)).strip('"')
        # Unique ones are found by their name when they are violated.
        kind = "unique index" if index.unique else "index"
        partial = bool(index.dialect_options[found.dialect.name].get("where") is not None)
        needed = (bool(index.unique), _columns_of(index), partial)
        if name not in actual:
            yield SchemaFault(f"{kind} {name} is missing", is_fatal=bool(index.unique))
        elif index.unique and actual[name] != needed:
            yield SchemaFault(f"{kind} {name} is another one")
    for constraint in sorted(table.constraints, key=_name):
        if isinstance(constraint, UniqueConstraint):
            name = str(prepare.format_constraint(constraint)).strip('"')
            needed = (True, {column.name for column in constraint.columns}, False)
            if actual.get(name) != needed:
                yield SchemaFault(f"unique constraint {name} is missing, or another one")


def _name(part: Index | Constraint) -> str:
    # Sets have no order, and the log is to repeat nothing.
    return str(part.name)


def _columns_of(index: Index) -> set[Any]:
    # As the database has it, an expression is a column without a name.
    return {getattr(part, "name", None) for part in index.expressions}


def _references(table: Table, actual: set[tuple[Any, ...]]) -> Iterator[SchemaFault]:
    for constraint in sorted(table.foreign_key_constraints, key=_name):
        needed = (*constraint.column_keys, constraint.referred_table.name, constraint.ondelete)
        if needed not in actual:
            columns = ", ".join(f"{table.name}.{name}" for name in constraint.column_keys)
            yield SchemaFault(f"foreign key of {columns} is missing", is_fatal=False)


def _checks(
    found: _Reflected, table: Table, actual: dict[str | None, str]
) -> Iterator[SchemaFault]:
    for constraint in sorted(table.constraints, key=_name):
        if not isinstance(constraint, CheckConstraint):
            continue
        name = str(found.dialect.identifier_preparer.format_constraint(constraint)).strip('"')
        if name not in actual:
            yield SchemaFault(f"check {name} is missing", is_fatal=False)
            continue
        # The words of an enum. A newer release may know more of them.
        options = {"literal_binds": True}
        needed = str(constraint.sqltext.compile(dialect=found.dialect, compile_kwargs=options))
        if missing := set(_LITERAL.findall(needed)) - set(_LITERAL.findall(actual[name])):
            yield SchemaFault(f"check {name} refuses {', '.join(sorted(missing))}")
