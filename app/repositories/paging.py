"""The rows of one request for a list: which, and in which order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, or_, select, union_all

from app.core.pagination import PageRequest, SortKey
from app.models.base import Base
from app.repositories.filters import NO_FILTERS, Filters, conditions
from app.repositories.keyset import (
    Ordering,
    Position,
    SortColumn,
    beyond,
    is_implied,
    order_of,
    position_of,
)

SortColumns = Mapping[str, SortColumn]


@dataclass(frozen=True, slots=True)
class Narrowed:
    """The rows that a request is about: those of `narrowed`, loaded as `shown` says."""

    model: type[Base]
    shown: Select[Any]
    narrowed: Select[Any]
    order: Sequence[Ordering]
    any_of: Sequence[ColumnElement[bool]]
    is_search: bool

    def count(self) -> Select[int]:
        rows = self.narrowed.where(or_(*self.any_of)) if self.any_of else self.narrowed
        return count_of(self.model, rows)

    def first(self, count: Any) -> Select[Any]:
        """The first rows in the order."""
        clauses = [part.clause() for part in self.order]
        if self.is_search:
            # SQLite computes the selected columns before it sorts: select keys alone, then join.
            return self.page(reach=count, size=count, offset=0)
        if not self.any_of:
            return self.narrowed.order_by(*clauses).limit(count)
        return self.shown.where(self._is_among(count)).order_by(*clauses).limit(count)

    def page(self, *, reach: Any, size: Any, offset: Any) -> Select[Any]:
        """The rows of a page with a number, `reach` of which is `offset` and `size`.

        First their keys alone: a database computes all that is shown for each row that it skips.
        """
        rows = self.shown.where(self._is_among(reach)) if self.any_of else self.narrowed
        places = [part.column.label(f"place_{n}") for n, part in enumerate(self.order)]
        in_order = [part.clause(place) for part, place in zip(self.order, places, strict=True)]
        keys = rows.with_only_columns(self.model.id.label("id"), *places).order_by(*in_order)
        page = keys.limit(size).offset(offset).subquery("page")
        again = [part.clause(page.c[f"place_{n}"]) for n, part in enumerate(self.order)]
        return self.shown.join(page, page.c.id == self.model.id).order_by(*again)

    def _is_among(self, count: Any) -> ColumnElement[bool]:
        """The first rows of each of the alternatives. One that is in several is found once."""
        clauses = [part.clause() for part in self.order]
        ids = self.narrowed.with_only_columns(self.model.id).order_by(*clauses).limit(count)
        branches = [ids.where(condition).subquery() for condition in self.any_of]
        return self.model.id.in_(union_all(*(select(branch.c.id) for branch in branches)))


def beyond_numbers(
    items: Sequence[Any], request: PageRequest, order: Sequence[Ordering]
) -> Position | None:
    """Where a cursor goes on from the last page with a number; by relevance none does."""
    if not items or not request.ends_numbers or request.by_relevance:
        return None
    return position_of(items[-1], order)


def count_of(model: type[Base], rows: Select[Any]) -> Select[int]:
    ids = rows.with_only_columns(model.id).order_by(None).subquery()
    return select(func.count()).select_from(ids)


def narrow(
    model: type[Base],
    statement: Select[*tuple[Any, ...]],
    request: PageRequest,
    columns: SortColumns,
    filters: Filters = NO_FILTERS,
    any_of: Sequence[ColumnElement[bool]] = (),
    shown: Select[*tuple[Any, ...]] | None = None,
) -> Narrowed:
    """The arguments are those of `BaseRepository._paginate`, which says what they mean."""
    order = _order(model, request, columns)
    if any_of and request.searches:
        statement, any_of = statement.where(or_(*any_of)), ()
    narrowing = conditions(filters, request.filters)
    if request.after is not None:
        narrowing = [c for c in narrowing if not is_implied(c, order[0])]
        narrowing.append(beyond(order, request.after))
    narrowed = statement.where(*narrowing)
    shown = statement if shown is None else shown
    return Narrowed(model, shown, narrowed, order, any_of, request.searches)


def _order(model: type[Base], request: PageRequest, columns: SortColumns) -> Sequence[Ordering]:
    keys = (*request.sort, SortKey("public_id", descending=request.sort[-1].descending))
    public_id = model.__mapper__.attrs["public_id"].class_attribute
    return order_of(keys, {"public_id": public_id, **columns}, by_index=not request.searches)
