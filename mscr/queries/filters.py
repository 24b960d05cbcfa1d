"""Filters of lists: each is a function that turns a value of the query into an SQL condition.

A repository declares them by the fields of the list's query:
`FILTERS: Filters = {"status": one_of(Item.status), "created_at_gte": at_least(Item.created_at)}`.
Any function from a value to a condition is a filter.
"""

from collections.abc import Callable, Collection, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from pydantic_core import PydanticCustomError
from sqlalchemy import ColumnElement, String, and_, func
from sqlalchemy.orm import InstrumentedAttribute, Mapper

from mscr.core.exceptions import ValidationFailedError
from mscr.queries.column_bounds import check_of

Column = InstrumentedAttribute[Any] | ColumnElement[Any]
Filter = Callable[[Any], ColumnElement[bool]]
Filters = Mapping[str, Filter]

NO_FILTERS: Final[Filters] = MappingProxyType({})


def require_declared(filters: Collection[str], sent: Mapping[str, Any]) -> None:
    """Raise `LookupError` for a field without a filter, whether it was sent or not.

    Otherwise the filter would be ignored, and the list would only look filtered.
    """
    unknown = [name for name in sent if name not in filters]
    if unknown:
        raise LookupError(f"no filter is declared for {unknown}")


def conditions(filters: Filters, sent: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    """Return the conditions for the filters that were sent. A value of None was not sent.

    Raise `LookupError` for a field without a filter, as `require_declared` does, and
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
    """Refuse a number beyond the column's range, which the drivers fail on in different ways."""
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
    """Compare a field of type UUID with a column that stores it as text."""
    return lambda value: column == str(value)


def one_of(column: Column) -> Filter:
    """Match any value of a field that is a list."""

    # A single value becomes an equality: then an index can also supply the sort order.
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
    """Match a prefix, case-sensitively."""

    def condition(value: str) -> ColumnElement[bool]:
        # LIKE can use an index on PostgreSQL. On SQLite it ignores case, so also compare exactly.
        exact = func.substr(column, 1, len(value)) == value
        return and_(column.startswith(value, autoescape=True), exact)

    return condition


def is_null(column: Column) -> Filter:
    """Match null if the boolean field is true, else all other values."""
    return lambda value: column.is_(None) if value else column.is_not(None)


_OPERATORS: Final[Mapping[str, Callable[[Column], Filter]]] = MappingProxyType(
    {
        "_gte": at_least,
        "_lte": at_most,
        "_lt": less_than,
        "_prefix": starts_with,
        "_null": is_null,
    }
)


@cache
def filter_by_name(mapper: Mapper[Any], name: str) -> Filter:
    """Return the filter that a field of a list's query names: a column, and an operator's suffix.

    `status` matches the value, or any value of a list; `created_at_gte`, `created_at_lte`,
    `price_lt`, `title_prefix` and `description_null` are the suffixes. Raise `LookupError` if the
    model has no such column.
    """
    columns = mapper.column_attrs
    if name in columns:
        return _equals_any(columns[name].class_attribute)
    for suffix, operator in _OPERATORS.items():
        column = name.removesuffix(suffix)
        if column != name and column in columns:
            return operator(columns[column].class_attribute)
    raise LookupError(f"{name}: {mapper.class_.__name__} has no such column; add it to `filters`")


def _equals_any(column: InstrumentedAttribute[Any]) -> Filter:
    one, several = equals(column), one_of(column)
    is_text = isinstance(column.type, String)

    def stored(value: Any) -> Any:
        return str(value) if is_text and isinstance(value, UUID) else value

    def condition(value: Any) -> ColumnElement[bool]:
        if isinstance(value, list):
            return several([stored(each) for each in value])
        return one(stored(value))

    return condition
