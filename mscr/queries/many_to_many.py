"""Filter, sort and link rows by a many-to-many association table.

A filter for one linked row reads a range of the association table's index, so each page takes the
same time. A filter for any of several linked rows collects all matches first, which takes time in
proportion to their number.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, Table, and_, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from mscr.models.base import ModelBase
from mscr.queries.filters import Filters
from mscr.queries.pagination import PageRequest
from mscr.queries.paging import SortColumns

_NO_KEY: Final = 0


class ManyToMany:
    """The links between a model and another one, which has `PublicIdMixin`.

    - `links` is the association table, with a foreign key to each model. Its other columns are
      copies of immutable columns of `model`, under the same names: with them, an index of the links
      can have the sort order of a list.
    - `any_of` and `all_of` name the filter fields of a list's query. Their values are public ids of
      the other model.
    - `copied` has the filters of the copied columns.
    """

    def __init__(
        self,
        model: type[Any],
        other: type[Any],
        links: Table,
        *,
        any_of: str,
        all_of: str,
        copied: Filters,
    ) -> None:
        self._model = model
        self._other = other
        self._links = links
        self._key = _key_to(model, links)
        self._other_key = _key_to(other, links)
        keys = {self._key.key, self._other_key.key}
        self._copies: SortColumns = {c.key: c for c in links.c if c.key not in keys}
        self._copied = copied
        self._any_of = any_of
        self._all_of = all_of
        self.filters: Filters = {any_of: self._has_any, all_of: self._has_all}

    def others(self, *columns: Any) -> Select[*tuple[Any, ...]]:
        """Return a SELECT of the living linked rows, correlated with a row of the model."""
        joined = select(*columns).join(self._links, self._other_key == self._other.id)
        own = joined.where(self._key == self._model.id, self._other.is_deleted.is_(False))
        return own.correlate(self._model)

    async def with_keys(self, request: PageRequest, session: AsyncSession) -> PageRequest:
        """Replace public ids in the filters by keys, and unknown ones by a key that no row has.

        A query of its own, not a subquery: the best plan depends on the number of linked rows.
        PostgreSQL has statistics for a given key, and can only guess for a subquery's.
        """
        given = {n: request.filters[n] for n in self.filters if request.filters[n]}
        wanted = {str(public_id) for public_ids in given.values() for public_id in public_ids}
        if not wanted:
            return request
        living = select(self._other.public_id, self._other.id).where(
            self._other.public_id.in_(wanted), self._other.is_deleted.is_(False)
        )
        keys = {row.public_id: row.id for row in await session.execute(living)}
        found = {n: [keys.get(str(each), _NO_KEY) for each in ids] for n, ids in given.items()}
        return replace(request, filters={**request.filters, **found})

    def filters_by(self, request: PageRequest) -> bool:
        """Return whether the request has one of the two filters."""
        return any(request.filters[name] for name in self.filters)

    def narrow(
        self,
        statement: Select[*tuple[Any, ...]],
        request: PageRequest,
        columns: SortColumns,
        filters: Filters,
    ) -> tuple[Select[*tuple[Any, ...]], SortColumns, Filters]:
        """Join the links of one row that all results must have, if the filters name such a row.

        The filters and sort columns of the copies then refer to the links.
        """
        name = self._any_of if len(request.filters[self._any_of] or ()) == 1 else self._all_of
        if not request.filters[name]:
            return statement, columns, filters
        linked = statement.join(self._links, self._key == self._model.id)
        by_links = {**self._copied, name: self._is_linked}
        return linked, {**columns, **self._copies}, {**filters, **by_links}

    async def add(self, session: AsyncSession, row: Any, others: Sequence[ModelBase]) -> None:
        """Link a row to others."""
        copies: Mapping[str, Any] = {name: getattr(row, name) for name in self._copies}
        if others:
            keys = [{self._key.key: row.id, self._other_key.key: other.id} for other in others]
            await session.execute(insert(self._links), [{**copies, **key} for key in keys])

    async def replace(
        self,
        session: AsyncSession,
        row: Any,
        known: Sequence[ModelBase],
        wanted: Sequence[ModelBase],
    ) -> bool:
        """Replace the `known` links of a locked row by `wanted`. Return whether they differ.

        Warning: if they differ, the caller must raise the version of the row.
        """
        gone = [other.id for other in known if other not in wanted]
        added = [other for other in wanted if other not in known]
        if gone:
            unlinked = delete(self._links).where(self._key == row.id, self._other_key.in_(gone))
            await session.execute(unlinked)
        await self.add(session, row, added)
        return bool(gone or added)

    def _has_any(self, keys: Sequence[int]) -> ColumnElement[bool]:
        linked = select(self._key).where(self._other_key.in_(keys))
        condition: ColumnElement[bool] = self._model.id.in_(linked)
        return condition

    def _has_all(self, keys: Sequence[int]) -> ColumnElement[bool]:
        return and_(*(self._has_any([key]) for key in keys))

    def _is_linked(self, keys: Sequence[int]) -> ColumnElement[bool]:
        first, *others = keys
        return and_(self._other_key == first, *(self._has_any([key]) for key in others))


def _key_to(model: type[ModelBase], links: Table) -> Any:
    table = model.__table__
    [found] = [c for c in links.c if any(key.column.table is table for key in c.foreign_keys)]
    return found
