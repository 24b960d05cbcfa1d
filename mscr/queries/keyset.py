"""Places in an order of rows: what comes after a row, with ties, nulls and both directions.

Null counts as greater than any value, as PostgreSQL has it by default.
"""

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BinaryExpression, ColumnElement, and_, false, or_, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from app.core.pagination import SortKey

SortColumn = InstrumentedAttribute[Any] | ColumnElement[Any]
Position = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Ordering:
    """One column of an order."""

    column: SortColumn
    descending: bool
    by_index: bool = True

    @property
    def nullable(self) -> bool:
        return bool(getattr(self.column, "nullable", False))

    def clause(self, column: ColumnElement[Any] | None = None) -> ColumnElement[Any]:
        """By the column, or by what has its values elsewhere."""
        by = self.column if column is None else column
        direction = by.desc() if self.descending else by.asc()
        if self.by_index and not self.nullable:
            return direction
        # Without nulls their place is nothing but an order that no index has: PostgreSQL thinks
        # that words of which it knows nothing are frequent, and would look for them row by row.
        nulls_first = self.descending if self.nullable else not self.descending
        return direction.nulls_first() if nulls_first else direction.nulls_last()

    def equal(self, value: Any) -> ColumnElement[bool]:
        same: ColumnElement[bool] = self.column == value
        return self.column.is_(None) if value is None else same

    def beyond(self, value: Any) -> ColumnElement[bool]:
        if value is None:
            return self.column.is_not(None) if self.descending else false()
        further: ColumnElement[bool] = (
            self.column < value if self.descending else self.column > value
        )
        if self.nullable and not self.descending:
            return or_(further, self.column.is_(None))
        return further

    def not_before(self, value: Any) -> ColumnElement[bool] | None:
        """A single range, if there is one: nothing for null and beside it."""
        if self.nullable:
            return None
        limit: ColumnElement[bool] = (
            self.column <= value if self.descending else self.column >= value
        )
        return limit


def order_of(
    keys: Sequence[SortKey], columns: Mapping[str, SortColumn], *, by_index: bool = True
) -> list[Ordering]:
    return [Ordering(columns[key.field], key.descending, by_index) for key in keys]


def position_of(row: Any, order: Sequence[Ordering]) -> Position:
    # By the column, which may have another name than the field that it sorts.
    return tuple(getattr(row, str(part.column.key)) for part in order)


def beyond(order: Sequence[Ordering], after: Position) -> ColumnElement[bool]:
    """The condition for the rows that come after the one at `after`."""
    one_direction = len({part.descending for part in order}) == 1
    if one_direction and not any(part.nullable for part in order):
        # A row value comparison is one range of a matching index.
        left = tuple_(*(part.column for part in order))
        place = tuple_(*after, types=[part.column.type for part in order])
        return left < place if order[0].descending else left > place
    places = list(zip(order, after, strict=True))
    alternatives = [
        and_(*(part.equal(value) for part, value in places[:number]), last.beyond(value))
        for number, (last, value) in enumerate(places)
    ]
    # It follows from the alternatives, and lets an index begin at the place.
    limit = order[0].not_before(after[0])
    return or_(*alternatives) if limit is None else and_(limit, or_(*alternatives))


def is_implied(condition: ColumnElement[bool], first: Ordering) -> bool:
    """Whether it holds for every row beyond a place, as it does for the row there.

    Such a bound has to be left out: of two, PostgreSQL may begin to read an index at the wrong one.
    """
    bounds = (operator.lt, operator.le) if first.descending else (operator.gt, operator.ge)
    return (
        not first.nullable
        and isinstance(condition, BinaryExpression)
        and condition.operator in bounds
        and condition.left.compare(first.column.expression)
    )
