"""Find the first matches of a full-text search in a list's order, at a bounded cost."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import (
    CTE,
    BinaryExpression,
    ColumnElement,
    Integer,
    Label,
    Select,
    Subquery,
    and_,
    case,
    exists,
    func,
    literal_column,
    not_,
    or_,
    select,
    union,
    union_all,
)
from sqlalchemy.sql.operators import custom_op

from mscr.models.base import ModelBase
from mscr.queries.keyset import Ordering

# A word is frequent if so many of the first rows contain it: every two-hundredth.
_SAMPLE: Final = 1_000
_FREQUENT: Final = 5
# The most rows to read for a frequent word: so many for each match that is wanted, or the minimum.
_ROWS_FOR_EACH: Final = 100
_MINIMUM_ROWS: Final = 20_000


@dataclass(frozen=True, slots=True)
class FirstMatches:
    """The first rows of `rows`, in `order`, that match a search.

    A rare word is found by its index: all of its rows are sorted. For a frequent word, that would
    take as long as it has rows. Such a word is soon found by reading the rows in their order and
    testing each. PostgreSQL does not choose reliably: it has no statistics for most words, so a
    sample of the first rows decides. Both ways find the same rows.

    `match` is the condition of the search. `any_of` has alternatives, each with an index in
    `order`.
    """

    model: type[ModelBase]
    rows: Select[Any]
    match: ColumnElement[bool]
    any_of: Sequence[ColumnElement[bool]]
    order: Sequence[Ordering]

    def first(self, count: int, *shown: Label[Any]) -> Subquery:
        """Return the keys of the first `count` matches as `id`, with the columns of `shown`."""
        if not _can_test_rows(self.match):
            return self._by_index(count, shown).subquery("matches")
        is_frequent = select(self._matches_in_sample() >= _FREQUENT).cte("is_frequent")
        frequent = select(is_frequent).scalar_subquery()
        limit = max(_MINIMUM_ROWS, count * _ROWS_FOR_EACH)
        windows = [
            self._in_window(rows.where(frequent), limit, count, shown).cte(f"window_{number}")
            for number, rows in enumerate(self._alternatives())
        ]
        complete = [
            self._is_complete(rows, window, limit, count)
            for rows, window in zip(self._alternatives(), windows, strict=True)
        ]
        is_found = select(and_(frequent, *complete)).cte("is_found")
        found = select(is_found).scalar_subquery()
        read = select(union(*(select(window) for window in windows)).subquery()).where(found)
        indexed = select(self._by_index(count, shown).subquery()).where(not_(found))
        both = union_all(read, indexed).subquery()
        return select(both).order_by(*self._again(both)).limit(_literal(count)).subquery("matches")

    def _alternatives(self) -> list[Select[Any]]:
        return [self.rows.where(each) for each in self.any_of] or [self.rows]

    def _in_order(self, rows: Select[*tuple[Any, ...]], limit: int) -> Select[*tuple[Any, ...]]:
        return rows.order_by(*(part.clause() for part in self.order)).limit(_literal(limit))

    def _again(self, rows: Subquery) -> list[ColumnElement[Any]]:
        return [part.clause(rows.c[f"at_{n}"]) for n, part in enumerate(self.order)]

    def _matches_in_sample(self) -> ColumnElement[int]:
        samples = [
            self._in_order(rows.with_only_columns(self.match.label("matches")), _SAMPLE).subquery()
            for rows in self._alternatives()
        ]
        matches = union_all(*(select(each).where(each.c.matches) for each in samples))
        return select(func.count()).select_from(matches.subquery()).scalar_subquery()

    def _keys(self, shown: Sequence[Label[Any]]) -> list[ColumnElement[Any]]:
        places = [part.column.label(f"at_{n}") for n, part in enumerate(self.order)]
        return [self.model.id.label("id"), *places, *shown]

    def _in_window(
        self, rows: Select[Any], limit: int, count: int, shown: Sequence[Label[Any]]
    ) -> Select[Any]:
        # The window's columns are computed for all of its rows: skip those that do not match.
        shown = [case((self.match, each.element)).label(each.name) for each in shown]
        columns = [*self._keys(shown), self.match.label("matches")]
        window = self._in_order(rows.with_only_columns(*columns), limit).subquery()
        found = select(*(c for c in window.c if c.key != "matches")).where(window.c.matches)
        return found.order_by(*self._again(window)).limit(_literal(count))

    def _is_complete(
        self, rows: Select[Any], window: CTE, limit: int, count: int
    ) -> ColumnElement[bool]:
        """Return whether the window has enough matches, or all rows of its alternative."""
        enough = select(func.count()).select_from(window).scalar_subquery() >= count
        further = self._in_order(rows.with_only_columns(_literal(1)), 1).offset(_literal(limit))
        return or_(enough, not_(exists(further)))

    def _by_index(self, count: int, shown: Sequence[Label[Any]]) -> Select[Any]:
        matches = self.rows.where(self.match)
        if self.any_of:
            matches = matches.where(or_(*self.any_of))
        order = [replace(part, by_index=False).clause() for part in self.order]
        return matches.with_only_columns(*self._keys(shown)).order_by(*order).limit(_literal(count))


def _can_test_rows(match: ColumnElement[bool]) -> bool:
    """Return whether a row can be tested without the index. SQLite has the words only there."""
    operator = match.operator if isinstance(match, BinaryExpression) else None
    return isinstance(operator, custom_op) and operator.opstring == "@@"


def _literal(number: int) -> ColumnElement[int]:
    """With a bound LIMIT, PostgreSQL assumes 10 % of the rows, and would sort them all."""
    return literal_column(str(number), Integer)
