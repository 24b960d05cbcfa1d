"""Rows as named tuples of the columns that responses show, with related rows as one column."""

from collections.abc import Sequence
from functools import cache
from typing import Any, Final, Protocol

from pydantic_core import from_json
from sqlalchemy import (
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

from mscr.db.compiled_statement import row_class


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

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        self.names = names
        self._row = row_class(names)

    def process_result_value(
        self,
        value: str | None,
        dialect: Dialect,  # noqa: ARG002  # SQLAlchemy's name
    ) -> Sequence[Any]:
        new, row = tuple.__new__, self._row
        return [new(row, values) for values in from_json(value or "[]")]


class _json_arrays(FunctionElement[str]):  # noqa: N801  # it is a function of SQL
    """Aggregate rows into the text of a JSON array, with one array of columns for each row."""

    type = String()
    inherit_cache = True


@compiles(_json_arrays, "postgresql")
def _for_postgresql(element: _json_arrays, compiler: SQLCompiler, **options: Any) -> str:
    columns = compiler.process(element.clauses, **options)
    return f"CAST(coalesce(json_agg(json_build_array({columns})), '[]') AS text)"


@compiles(_json_arrays, "sqlite")
def _for_sqlite(element: _json_arrays, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_group_array(json_array({compiler.process(element.clauses, **options)}))"


def nested_rows(name: str, rows: Select[*tuple[Any, ...]]) -> Label[Sequence[Any]]:
    """Return a column with all rows of a correlated SELECT, in its order, as named tuples.

    It replaces a query for each row (N+1). The columns must have types that JSON can represent.
    """
    nested = rows.subquery("nested")
    arrays = type_coerce(_json_arrays(*nested.c), _NestedRows(tuple(nested.c.keys())))
    return select(arrays).scalar_subquery().label(name)


def no_nested_rows(name: str) -> Label[Sequence[Any]]:
    """Return the column of `nested_rows` for the case that there are none."""
    return type_coerce(_NO_ROWS, _NestedRows(())).label(name)


_NO_ROWS: Final = literal_column("'[]'", String)
