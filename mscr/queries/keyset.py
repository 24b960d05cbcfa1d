"""Keyset paging: conditions for the rows after a position, with ties, nulls and both directions.

Nulls sort last, and first in descending order: null counts as greater than any value, as in
PostgreSQL by default.
"""

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BinaryExpression, ColumnElement, and_, false, or_, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from mscr.core.sort_order import SortKey

SortColumn = InstrumentedAttribute[Any] | ColumnElement[Any]
Position = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Ordering:
    """One sort column. `by_index` is false for a search: an index must not supply the order."""

    column: SortColumn
    descending: bool
    by_index: bool = True

    @property
    def nullable(self) -> bool:
        return bool(getattr(self.column, "nullable", False))

    def clause(self, column: ColumnElement[Any] | None = None) -> ColumnElement[Any]:
        """Return the term of ORDER BY, for this column or for a copy of it in a subquery."""
        by = self.column if column is None else column
        direction = by.desc() if self.descending else by.asc()
        if self.by_index and not self.nullable:
            return direction
        # In a search, put the nulls (there are none) at the other end, so that no index has the
        # order. PostgreSQL assumes that words without statistics are frequent. It would read the
        # rows in an index's order and test each of them, instead of using the full-text index.
        nulls_first = self.descending if self.nullable else not self.descending
        return direction.nulls_first() if nulls_first else direction.nulls_last()

    def equal(self, value: Any) -> ColumnElement[bool]:
        same: ColumnElement[bool] = self.column == value
        return self.column.is_(None) if value is None else same

    def beyond(self, value: Any) -> ColumnElement[bool]:
        """Return the condition for rows whose value comes after this one in the order."""
        if value is None:
            return self.column.is_not(None) if self.descending else false()
        further: ColumnElement[bool] = (
            self.column < value if self.descending else self.column > value
        )
        if self.nullable and not self.descending:
            return or_(further, self.column.is_(None))
        return further

    def not_before(self, value: Any) -> ColumnElement[bool] | None:
        """Return the condition "equal or beyond" as one range, or None for a nullable column."""
        if self.nullable:
            return None
        limit: ColumnElement[bool] = (
            self.column <= value if self.descending else self.column >= value
        )
        return limit


def order_of(keys: Sequence[SortKey], columns: Mapping[str, SortColumn]) -> list[Ordering]:
    return [Ordering(columns[key.field], key.descending) for key in keys]


def position_of(row: Any, order: Sequence[Ordering]) -> Position:
    # By the column's name: the field in the query may have another one.
    return tuple(getattr(row, str(part.column.key)) for part in order)


def beyond(order: Sequence[Ordering], after: Position) -> ColumnElement[bool]:
    """Return the condition for the rows that come after the position `after`.

    In one direction and without nulls, it is a row value comparison: `(a, b) > (x, y)`. Otherwise
    it is written out: `a > x OR (a = x AND b > y)`.
    """
    one_direction = len({part.descending for part in order}) == 1
    if one_direction and not any(part.nullable for part in order):
        # The databases read a row value comparison as one range of a matching index.
        left = tuple_(*(part.column for part in order))
        place = tuple_(*after, types=[part.column.type for part in order])
        return left < place if order[0].descending else left > place
    places = list(zip(order, after, strict=True))
    alternatives = [
        and_(*(part.equal(value) for part, value in places[:number]), last.beyond(value))
        for number, (last, value) in enumerate(places)
    ]
    # Redundant, but it lets an index scan start at the position: an OR alone does not.
    limit = order[0].not_before(after[0])
    return or_(*alternatives) if limit is None else and_(limit, or_(*alternatives))


def is_implied(condition: ColumnElement[bool], first: Ordering) -> bool:
    """Return whether a cursor's position already implies this condition of a filter.

    Such a bound must be left out. With two bounds on a column, PostgreSQL may start the index scan
    at the wrong one, far from the position.
    """
    bounds = (operator.lt, operator.le) if first.descending else (operator.gt, operator.ge)
    return (
        not first.nullable
        and isinstance(condition, BinaryExpression)
        and condition.operator in bounds
        and condition.left.compare(first.column.expression)
    )
