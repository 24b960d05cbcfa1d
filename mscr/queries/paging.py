"""Build the SQL of one page of a list: filters, position, sort order and limits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Integer,
    Label,
    ScalarSelect,
    Select,
    case,
    func,
    literal_column,
    select,
    true,
    union_all,
)

from mscr.core.sort_order import SortKey
from mscr.models.base import ModelBase
from mscr.queries.filters import NO_FILTERS, Filters, conditions
from mscr.queries.first_matches import FirstMatches
from mscr.queries.keyset import (
    Ordering,
    Position,
    SortColumn,
    beyond,
    is_implied,
    order_of,
    position_of,
)
from mscr.queries.pagination import PageRequest
from mscr.schemas.list_schemas import MAX_NUMBERED_ROWS, MAX_SEARCHED_ROWS

SortColumns = Mapping[str, SortColumn]

# One row more than totals show: the list has "at least" so many. A literal number, because with a
# bound LIMIT, PostgreSQL assumes 10 % of the rows and may never cache a generic plan.
_COUNTED_ROWS: Final = literal_column(str(MAX_NUMBERED_ROWS + 1), Integer)


@dataclass(frozen=True, slots=True)
class Narrowed:
    """The rows of a request. `narrowed` finds them, `shown` selects the columns to load.

    `any_of` has alternatives: rows must fulfil at least one of these conditions. `matches` finds
    the rows of a search.
    """

    model: type[ModelBase]
    shown: Select[Any]
    narrowed: Select[Any]
    order: Sequence[Ordering]
    any_of: Sequence[ColumnElement[bool]]
    matches: FirstMatches | None

    def count(self) -> Select[int]:
        """Return the query for the total, which stops at the first row that is not shown.

        The first alternative's order makes PostgreSQL read nothing but its index. It would
        otherwise read the table, which may begin with any number of rows that do not match. The
        order is ascending: the newest rows are not marked as visible to all yet, so that PostgreSQL
        would look each of them up in the table. The others have no order: an index that has it
        lacks the columns of the first condition, and all rows would be sorted.
        """
        if self.matches is not None:
            return _bounded_count(select(self.matches.first(MAX_SEARCHED_ROWS + 1).c.id))
        found = self.narrowed.with_only_columns(literal_column("1", Integer).label("found"))
        found = found.order_by(None)
        if not self.any_of[1:]:
            return _bounded_count(found.where(*self.any_of))
        in_order = found.where(self.any_of[0]).order_by(self.order[0].column)
        counted = _bounded_count(in_order).subquery().c.total
        # Only if these are too few: all rows of the others might be among those counted.
        more = case((counted < _COUNTED_ROWS, self._count_of_others(found)), else_=0)
        return select(counted + more)

    def _count_of_others(self, found: Select[Any]) -> ScalarSelect[int]:
        """Count the rows of alternatives but the first, each without those of the ones before."""
        branches = [
            found.where(condition, *(known.is_not(true()) for known in self.any_of[:number]))
            for number, condition in enumerate(self.any_of)
        ]
        others = union_all(*(select(each.subquery()) for each in branches[1:])).subquery()
        return _bounded_count(select(others)).scalar_subquery()

    def first(self, count: Any) -> Select[Any]:
        """Return the query for the first `count` rows in the sort order."""
        if self.matches is not None:
            return self._page_of(self._places_of(self.matches, count).limit(count))
        clauses = [part.clause() for part in self.order]
        if not self.any_of:
            return self.narrowed.order_by(*clauses).limit(count)
        return self.shown.where(self._is_among(count)).order_by(*clauses).limit(count)

    def page(self, *, last_row: Any, size: Any, offset: Any) -> Select[Any]:
        """Return the query for a numbered page. `last_row` is `offset` + `size`."""
        if self.matches is not None:
            keys = self._places_of(self.matches, MAX_SEARCHED_ROWS + 1)
        else:
            rows = self.shown.where(self._is_among(last_row)) if self.any_of else self.narrowed
            keys = rows.with_only_columns(self.model.id.label("id"), *self._places())
            keys = keys.order_by(*self._by(self._places()))
        return self._page_of(keys.limit(size).offset(offset))

    def _places(self) -> list[Label[Any]]:
        return [part.column.label(f"place_{n}") for n, part in enumerate(self.order)]

    def _by(self, places: Sequence[ColumnElement[Any]]) -> list[ColumnElement[Any]]:
        return [part.clause(place) for part, place in zip(self.order, places, strict=True)]

    def _places_of(self, matches: FirstMatches, count: int) -> Select[Any]:
        found = matches.first(count, *self._places())
        places = [found.c[f"place_{n}"] for n in range(len(self.order))]
        return select(found.c.id, *places).order_by(*self._by(places))

    def _page_of(self, keys: Select[Any]) -> Select[Any]:
        """Join the columns to show to the keys of a page (a deferred join).

        A database would otherwise compute all columns of the rows that OFFSET skips, or that a
        search sorts.
        """
        page = keys.subquery("page")
        again = self._by([page.c[f"place_{n}"] for n in range(len(self.order))])
        return self.shown.join(page, page.c.id == self.model.id).order_by(*again)

    def _is_among(self, count: Any) -> ColumnElement[bool]:
        """Return the condition for the first `count` rows of each alternative.

        Each branch of the UNION ALL reads its own index in sort order, up to the limit. IN
        deduplicates rows that several branches find.
        """
        clauses = [part.clause() for part in self.order]
        ids = self.narrowed.with_only_columns(self.model.id).order_by(*clauses).limit(count)
        branches = [ids.where(condition).subquery() for condition in self.any_of]
        return self.model.id.in_(union_all(*(select(branch.c.id) for branch in branches)))


def key_after_numbers(
    items: Sequence[Any], request: PageRequest, order: Sequence[Ordering]
) -> Position | None:
    """Return the position for a cursor after the last numbered page, or None for other pages.

    Lists by relevance have none.
    """
    if not items or not request.is_last_numbered or request.by_relevance:
        return None
    return position_of(items[-1], order)


def total_on_page(items: Sequence[Any], request: PageRequest) -> int | None:
    """Return the total if the page shows it, being the last one. Otherwise, count the rows."""
    is_last = len(items) < request.size and (items or not request.offset)
    return request.offset + len(items) if is_last else None


def _bounded_count(rows: Select[Any]) -> Select[int]:
    bounded = rows.limit(_COUNTED_ROWS).subquery()
    return select(func.count().label("total")).select_from(bounded)


def count_of(model: type[ModelBase], rows: Select[Any]) -> Select[int]:
    ids = rows.with_only_columns(model.id).order_by(None).subquery()
    return select(func.count()).select_from(ids)


def narrow(
    model: type[ModelBase],
    statement: Select[*tuple[Any, ...]],
    request: PageRequest,
    columns: SortColumns,
    filters: Filters = NO_FILTERS,
    any_of: Sequence[ColumnElement[bool]] = (),
    shown: Select[*tuple[Any, ...]] | None = None,
) -> Narrowed:
    """Apply a request's filters, position and order to a statement.

    The parameters are those of `BaseRepository._paginate`.
    """
    order = _order(model, request.sort, columns)
    sent = request.filters
    # A search finds rows by their words: its condition is kept apart.
    words = {"q": sent["q"]} if request.searches else {}
    narrowing = conditions(filters, {n: v for n, v in sent.items() if n not in words})
    # A page by cursor: only rows beyond its position, without the bounds that this implies.
    if request.after is not None:
        narrowing = [c for c in narrowing if not is_implied(c, order[0])]
        narrowing.append(beyond(order, request.after))
    narrowed = statement.where(*narrowing)
    shown = statement if shown is None else shown
    matches = None
    if words:
        [match] = conditions(filters, words)
        ranked = _order(model, request.ranked_from, columns) if request.by_relevance else order
        matches = FirstMatches(model, narrowed, match, any_of, ranked)
    return Narrowed(model, shown, narrowed, order, any_of, matches)


def _order(
    model: type[ModelBase], sort: Sequence[SortKey], columns: SortColumns
) -> Sequence[Ordering]:
    keys = (*sort, SortKey("public_id", descending=sort[-1].descending))
    public_id = model.__mapper__.attrs["public_id"].class_attribute
    return order_of(keys, {"public_id": public_id, **columns})
