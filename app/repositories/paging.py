"""The rows of one request for a list: which, and in which order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, or_, select, union_all

from app.core.pagination import PageRequest, SortKey
from app.models.base import Base
from app.repositories.filters import NO_FILTERS, Filters, conditions
from app.repositories.keyset import Ordering, SortColumn, beyond, is_implied, order_of

SortColumns = Mapping[str, SortColumn]


@dataclass(frozen=True, slots=True)
class Narrowed:
    """The rows that a request is about: those of `narrowed`, loaded as `statement` says."""

    model: type[Base]
    statement: Select[Any]
    narrowed: Select[Any]
    order: Sequence[Ordering]
    any_of: Sequence[ColumnElement[bool]]

    def count(self) -> Select[int]:
        rows = self.narrowed.where(or_(*self.any_of)) if self.any_of else self.narrowed
        return count_of(self.model, rows)

    def first(self, count: Any) -> Select[Any]:
        """The first rows in the order."""
        clauses = [part.clause() for part in self.order]
        if not self.any_of:
            return self.narrowed.order_by(*clauses).limit(count)
        ids = self.narrowed.with_only_columns(self.model.id).order_by(*clauses).limit(count)
        branches = [ids.where(condition).subquery() for condition in self.any_of]
        # A row that is in several of them is found once.
        found = union_all(*(select(branch.c.id) for branch in branches))
        return self.statement.where(self.model.id.in_(found)).order_by(*clauses).limit(count)


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
) -> Narrowed:
    """The arguments are those of `BaseRepository._paginate`, which says what they mean."""
    order = _order(model, request, columns)
    if any_of and request.searches:
        statement, any_of = statement.where(or_(*any_of)), ()
    narrowing = conditions(filters, request.filters)
    if request.after is not None:
        narrowing = [c for c in narrowing if not is_implied(c, order[0])]
        narrowing.append(beyond(order, request.after))
    return Narrowed(model, statement, statement.where(*narrowing), order, any_of)


def _order(model: type[Base], request: PageRequest, columns: SortColumns) -> Sequence[Ordering]:
    keys = (*request.sort, SortKey("public_id", descending=request.sort[-1].descending))
    public_id = model.__mapper__.attrs["public_id"].class_attribute
    return order_of(keys, {"public_id": public_id, **columns}, by_index=not request.searches)
