"""The pages of a list that many ask for, from statements that are compiled once."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import ColumnElement, Integer, Select, bindparam
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.pagination import PageRequest, Slice
from app.models.base import Base
from app.repositories.keyset import position_of
from app.repositories.paging import Narrowed, SortColumns, narrow
from app.repositories.prepared_statement import PreparedStatement, one_connection

T = TypeVar("T")

_REACH: Final = bindparam("reach", type_=Integer)
_SIZE: Final = bindparam("size", type_=Integer)
_OFFSET: Final = bindparam("offset", type_=Integer)


class PreparedPages(Generic[T]):
    """The pages of `statement` without filters, as `BaseRepository._paginate` makes them.

    The columns are passed to `make`, in their order. What changes from request to request is a
    `bindparam` in `statement` and `any_of`. No column that is sorted by may be null.
    """

    def __init__(
        self,
        model: type[Base],
        statement: Select[*tuple[Any, ...]],
        columns: SortColumns,
        make: Callable[..., T],
        *,
        any_of: Sequence[ColumnElement[bool]] = (),
    ) -> None:
        self._model = model
        self._statement = statement
        self._columns = columns
        self._make = make
        self._any_of = any_of
        # As many as there are orders: what may be sorted by is an allow-list.
        self._prepared: dict[Any, tuple[Narrowed, PreparedStatement]] = {}
        self._count: PreparedStatement | None = None

    async def read(self, session: AsyncSession, request: PageRequest, **values: Any) -> Slice[T]:
        """One page. `values` are those of the statement's own parameters."""
        if request.page is None:
            return await self._read_by_cursor(session, request, values)
        _, page = self._prepare(request)
        with one_connection(session):
            rows = await page.all(
                session,
                reach=request.offset + request.size,
                size=request.size,
                offset=request.offset,
                **values,
            )
            total = await self._counting(request).scalar(session, **values)
        return Slice([self._make(*row) for row in rows], total=total)

    async def _read_by_cursor(
        self, session: AsyncSession, request: PageRequest, values: dict[str, Any]
    ) -> Slice[T]:
        found, following = self._prepare(request)
        place = {_place(number): value for number, value in enumerate(request.after or ())}
        # One row more than asked for says whether there is a next page.
        rows = await following.all(session, reach=request.size + 1, **place, **values)
        items = [self._make(*row) for row in rows[: request.size]]
        more = len(rows) > request.size
        return Slice(items, next_key=position_of(items[-1], found.order) if more else None)

    def _prepare(self, request: PageRequest) -> tuple[Narrowed, PreparedStatement]:
        key = (request.sort, request.page is None, request.after is None)
        if (known := self._prepared.get(key)) is not None:
            return known
        found = self._narrow(request)
        rows = found.first(_REACH)
        if request.page is not None:
            rows = rows.limit(_SIZE).offset(_OFFSET)
        made = self._prepared[key] = (found, PreparedStatement(rows))
        return made

    def _counting(self, request: PageRequest) -> PreparedStatement:
        if self._count is None:
            self._count = PreparedStatement(self._narrow(request).count())
        return self._count

    def _narrow(self, request: PageRequest) -> Narrowed:
        unfiltered = replace(request, filters={}, after=None)
        found = narrow(self._model, self._statement, unfiltered, self._columns, any_of=self._any_of)
        if request.after is None:
            return found
        place = tuple(
            bindparam(_place(number), type_=part.column.type)
            for number, part in enumerate(found.order)
        )
        unfiltered = replace(unfiltered, after=place)
        return narrow(self._model, self._statement, unfiltered, self._columns, any_of=self._any_of)


def _place(number: int) -> str:
    return f"place_{number}"
