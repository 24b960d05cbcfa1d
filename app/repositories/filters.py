"""What the filters of a list mean: each is a function from the value that was sent to a condition.

A repository names them in a table, by the fields of the list's query:
`FILTERS: Filters = {"status": one_of(Item.status), "created_at_gte": at_least(Item.created_at)}`.
Any other function will do too.
"""

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, func
from sqlalchemy.orm import InstrumentedAttribute

Column = InstrumentedAttribute[Any] | ColumnElement[Any]
Filter = Callable[[Any], ColumnElement[bool]]
Filters = Mapping[str, Filter]

NO_FILTERS: Final[Filters] = MappingProxyType({})


def require_declared(filters: Collection[str], sent: Mapping[str, Any]) -> None:
    """Raises `LookupError` for a field without a filter, whether it was sent or not.

    A list must not look filtered when it is not.
    """
    unknown = [name for name in sent if name not in filters]
    if unknown:
        raise LookupError(f"no filter is declared for {unknown}")


def conditions(filters: Filters, sent: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    """The conditions for what was sent; None is what was not.

    Raises `LookupError` for a field without a filter, as `require_declared` does.
    """
    require_declared(filters, sent)
    return [filters[name](value) for name, value in sent.items() if value is not None]


def equals(column: Column) -> Filter:
    return lambda value: column == value


def equals_id(column: Column) -> Filter:
    """For a field that is a UUID, where the column has its text."""
    return lambda value: column == str(value)


def one_of(column: Column) -> Filter:
    """For a field that is a list."""
    # One value alone is an equality, in which the rows keep the order of an index.
    return lambda values: column == values[0] if len(values) == 1 else column.in_(values)


def at_least(column: Column) -> Filter:
    return lambda value: column >= value


def at_most(column: Column) -> Filter:
    return lambda value: column <= value


def less_than(column: Column) -> Filter:
    return lambda value: column < value


def starts_with(column: Column) -> Filter:
    """Upper and lower case differ."""

    def condition(value: str) -> ColumnElement[bool]:
        # LIKE finds an index on PostgreSQL; on SQLite it does not know capitals from small letters.
        exact = func.substr(column, 1, len(value)) == value
        return and_(column.startswith(value, autoescape=True), exact)

    return condition


def is_null(column: Column) -> Filter:
    """For a field that is a boolean."""
    return lambda value: column.is_(None) if value else column.is_not(None)
