"""Rows as named tuples of the columns that responses show, with related rows as one column."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final, Protocol

from pydantic_core import from_json
from sqlalchemy import (
    JSON,
    Dialect,
    Label,
    Result,
    Select,
    String,
    TypeDecorator,
    literal_column,
    select,
    type_coerce,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

from mscr.db.compiled_statement import row_class
from mscr.models.base import ExactNumeric, UTCDateTime


class ShownRow(Protocol):
    """A named tuple of the columns that a response shows, and of the version."""

    @property
    def public_id(self) -> Any: ...

    @property
    def version(self) -> Any: ...


def named_rows(result: Result[*tuple[Any, ...]]) -> Sequence[Any]:
    """Return the rows as named tuples, like those of a `PreparedStatement`."""
    new, row = tuple.__new__, row_class(tuple(result.keys()))
    return [new(row, values) for values in result]


def row_of(shown: Select[*tuple[Any, ...]], entity: object, **values: Any) -> Any:
    """Return the row that `shown` would select for an entity, without a query.

    Take columns from `values`, and all others from the entity's attributes.
    """
    row = _row_class_of(shown)
    names: Sequence[str] = row._fields
    return row(*(values[n] if n in values else getattr(entity, n) for n in names))


@cache
def _row_class_of(shown: Select[*tuple[Any, ...]]) -> Any:
    return row_class(tuple(shown.selected_columns.keys()))


class _NestedRows(TypeDecorator[Sequence[Any]]):
    """The type of a JSON array of arrays. Results are named tuples with these names."""

    impl = String
    cache_ok = True

    def __init__(self, names: tuple[str, ...], types: tuple[TypeEngine[Any], ...] = ()) -> None:
        super().__init__()
        self.names = names
        self.types = types
        self._row = row_class(names)
        # The values of these types differ from what the ORM reads, or between the databases.
        self._converted = [
            (number, each)
            for number, each in enumerate(types)
            if isinstance(each, ExactNumeric | UTCDateTime)
        ]

    def process_result_value(self, value: str | None, dialect: Dialect) -> Sequence[Any]:
        new, row = tuple.__new__, self._row
        rows = from_json(value or "[]")
        for number, column_type in self._converted:
            for values in rows:
                values[number] = _read(values[number], column_type, dialect)
        return [new(row, values) for values in rows]


def _read(value: Any, column_type: ExactNumeric | UTCDateTime, dialect: Dialect) -> Any:
    if value is None:
        return None
    if isinstance(column_type, UTCDateTime):
        return column_type.process_result_value(datetime.fromisoformat(value), dialect)
    return column_type.process_result_value(value, dialect)


class _json_arrays(FunctionElement[str]):  # noqa: N801  # it is a function of SQL
    """Aggregate rows into the text of a JSON array, with one array of columns for each row."""

    type = String()
    inherit_cache = True


@compiles(_json_arrays, "postgresql")
def _for_postgresql(element: _json_arrays, compiler: SQLCompiler, **options: Any) -> str:
    # A number of JSON would be read as a float.
    columns = _columns(element, compiler, (ExactNumeric, "CAST({} AS text)"), **options)
    return f"CAST(coalesce(json_agg(json_build_array({columns})), '[]') AS text)"


@compiles(_json_arrays, "sqlite")
def _for_sqlite(element: _json_arrays, compiler: SQLCompiler, **options: Any) -> str:
    # SQLite stores JSON as text, which would become a string in the array.
    columns = _columns(element, compiler, (JSON, "json({})"), **options)
    return f"json_group_array(json_array({columns}))"


def _columns(
    element: _json_arrays,
    compiler: SQLCompiler,
    wrapped: tuple[type[TypeEngine[Any]], str],
    **options: Any,
) -> str:
    """Return the columns as SQL, those of the wrapped type in its template."""
    kind, template = wrapped
    columns = ((each.type, compiler.process(each, **options)) for each in element.clauses)
    return ", ".join(
        template.format(column) if isinstance(column_type, kind) else column
        for column_type, column in columns
    )


def nested_rows(name: str, rows: Select[*tuple[Any, ...]]) -> Label[Sequence[Any]]:
    """Return a column with all rows of a correlated SELECT, in its order, as named tuples.

    It replaces a query for each row (N+1). The columns must have types that JSON can represent, or
    `ExactNumeric`, or times.
    """
    nested = rows.subquery("nested")
    types = tuple(column.type for column in nested.c)
    arrays = type_coerce(_json_arrays(*nested.c), _NestedRows(tuple(nested.c.keys()), types))
    return select(arrays).scalar_subquery().label(name)


def no_nested_rows(name: str) -> Label[Sequence[Any]]:
    """Return the column of `nested_rows` for the case that there are none."""
    return type_coerce(_NO_ROWS, _NestedRows(())).label(name)


_NO_ROWS: Final = literal_column("'[]'", String)
