"""What the filters of a list mean: each is a function from the value that was sent to a condition.

A repository names them in a table, by the fields of the list's query:
`FILTERS: Filters = {"status": one_of(Item.status), "created_at_gte": at_least(Item.created_at)}`.
Any other function will do too.
"""

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any, Final

from pydantic_core import PydanticCustomError
from sqlalchemy import ColumnElement, String, and_, func
from sqlalchemy.orm import InstrumentedAttribute

from app.core.exceptions import ValidationFailedError
from app.repositories.column_bounds import check_of

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

    Raises `LookupError` for a field without a filter, as `require_declared` does, and
    `ValidationFailedError` for a number beyond its column's range.
    """
    require_declared(filters, sent)
    return [_condition(filters, *each) for each in sent.items() if each[1] is not None]


def _condition(filters: Filters, name: str, value: Any) -> ColumnElement[bool]:
    try:
        return filters[name](value)
    except PydanticCustomError as error:
        raise ValidationFailedError(
            error.message(), loc=("query", name), error_type=error.type
        ) from None


def _bounded(column: Column, condition: Filter) -> Filter:
    """A number beyond the column's range is refused: the drivers fail on it, each in its way."""
    check = None if isinstance(column.type, String) else check_of(column.type)
    if check is None:
        return condition

    def bounded(value: Any) -> ColumnElement[bool]:
        for each in value if isinstance(value, list) else [value]:
            check(each)
        return condition(value)

    return bounded


def equals(column: Column) -> Filter:
    return _bounded(column, lambda value: column == value)


def equals_id(column: Column) -> Filter:
    """For a field that is a UUID, where the column has its text."""
    return lambda value: column == str(value)


def one_of(column: Column) -> Filter:
    """For a field that is a list."""

    # One value alone is an equality, in which the rows keep the order of an index.
    def condition(values: Any) -> ColumnElement[bool]:
        return column == values[0] if len(values) == 1 else column.in_(values)

    return _bounded(column, condition)


def at_least(column: Column) -> Filter:
    return _bounded(column, lambda value: column >= value)


def at_most(column: Column) -> Filter:
    return _bounded(column, lambda value: column <= value)


def less_than(column: Column) -> Filter:
    return _bounded(column, lambda value: column < value)


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
