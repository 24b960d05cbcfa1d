"""Reflect all tables of a database with a few queries, not several for each table (N+1)."""

import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import Connection, Constraint, Dialect, Index, MetaData, inspect, text
from sqlalchemy.engine.reflection import ObjectKind
from sqlalchemy.exc import SAWarning
from sqlalchemy.schema import Column

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import ReflectedColumn

# Schema and name.
Key = tuple[str | None, str]

_INVALID_INDEXES: Final = text(
    "SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE NOT indisvalid"
)
# SQLAlchemy does not reflect SQLite's indexes on expressions.
_SQLITE_INDEXES: Final = text("SELECT tbl_name, name, sql FROM sqlite_master WHERE type = 'index'")


class IndexShape(NamedTuple):
    """The comparable parts of an index or unique constraint; `columns` is None for expressions."""

    is_unique: bool
    columns: frozenset[str] | None
    is_partial: bool

    @classmethod
    def declared(cls, index: Index, dialect: str) -> "IndexShape":
        names = [part.name if isinstance(part, Column) else None for part in index.expressions]
        where = index.dialect_options[dialect].get("where")
        return cls(bool(index.unique), _all_named(names), where is not None)

    @classmethod
    def reflected(cls, found: Any) -> "IndexShape":
        partial = any(option.endswith("_where") for option in found.get("dialect_options", {}))
        unique = bool(found.get("unique", True))
        return cls(unique, _all_named(found["column_names"]), partial)

    def is_like(self, other: "IndexShape") -> bool:
        """Return whether both are equal, without the columns if one has an expression."""
        comparable = self.columns is not None and other.columns is not None
        return (
            self.is_unique is other.is_unique
            and self.is_partial is other.is_partial
            and (not comparable or self.columns == other.columns)
        )


class ReflectedSchema:
    """The reflected tables of `metadata` and of `more`, by schema and name."""

    def __init__(
        self, connection: Connection, metadata: MetaData, more: Iterable[str] = ()
    ) -> None:
        self.dialect = connection.dialect
        self.columns: dict[Key, dict[str, ReflectedColumn]] = {}
        self.keys: dict[Key, set[str]] = {}
        self.foreign_keys: dict[Key, set[tuple[Any, ...]]] = {}
        self.checks: dict[Key, dict[str | None, str]] = {}
        self.indexes: dict[Key, dict[str | None, IndexShape]] = {}
        tables = metadata.tables.values()
        for schema in {table.schema for table in tables} | {None}:
            names = [table.name for table in tables if table.schema == schema]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SAWarning)
                self._read(connection, schema, names if schema else [*names, *more])
        if self.dialect.name == "sqlite":
            self._add_expressions(connection)
        else:
            self._drop_invalid(connection)

    def _read(self, connection: Connection, schema: str | None, names: list[str]) -> None:
        inspector = inspect(connection)
        which: Any = {"schema": schema, "filter_names": names, "kind": ObjectKind.ANY}
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
            found: list[Any] = [*uniques[key], *indexes]
            self.indexes[key] = {one["name"]: IndexShape.reflected(one) for one in found}

    def _add_expressions(self, connection: Connection) -> None:
        for table, name, sql in connection.execute(_SQLITE_INDEXES):
            if sql and (None, table) in self.indexes:
                unique, partial = sql.upper().startswith("CREATE UNIQUE"), " WHERE " in sql.upper()
                shape = IndexShape(unique, None, partial)
                self.indexes[None, table].setdefault(name, shape)

    def _drop_invalid(self, connection: Connection) -> None:
        # A failed CREATE INDEX CONCURRENTLY leaves an invalid index, which guarantees nothing.
        invalid = set(connection.scalars(_INVALID_INDEXES))
        for found in self.indexes.values():
            for name in invalid & found.keys():
                del found[name]


def name_of(constraint: Constraint, dialect: Dialect) -> str | None:
    """Return the constraint's name in the database; None if the database chooses it."""
    if constraint.name is None:
        return None
    return str(dialect.identifier_preparer.format_constraint(constraint)).strip('"')


def _all_named(names: Iterable[str | None]) -> frozenset[str] | None:
    found = list(names)
    return None if None in found else frozenset(str(name) for name in found)


def _foreign_key(found: Any) -> tuple[Any, ...]:
    ondelete = found["options"].get("ondelete")
    return (*found["constrained_columns"], found["referred_table"], ondelete)
