"""The pages of a list that many ask for, from statements that are compiled once."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import ColumnElement, Integer, Select, bindparam
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.pagination import PageRequest, Slice
from app.models.base import Base
from app.repositories.filters import NO_FILTERS, Filters
from app.repositories.keyset import position_of
from app.repositories.paging import Narrowed, SortColumns, narrow
from app.repositories.prepared_statement import PreparedStatement, one_connection

T = TypeVar("T")

_REACH: Final = bindparam("reach", type_=Integer)
_SIZE: Final = bindparam("size", type_=Integer)
_OFFSET: Final = bindparam("offset", type_=Integer)


class PreparedPages(Generic[T]):
    """The pages of `statement`, as `BaseRepository._paginate` makes them.

    The columns are passed to `make`, in their order. What changes from request to request is a
    `bindparam` in `statement` and `any_of`. No column that is sorted by may be null. `filters` are
    those that choose from few values: there is a statement for each choice of one.
    """

    def __init__(
        self,
        model: type[Base],
        statement: Select[*tuple[Any, ...]],
        columns: SortColumns,
        make: Callable[..., T],
        *,
        any_of: Sequence[ColumnElement[bool]] = (),
        filters: Filters = NO_FILTERS,
    ) -> None:
        self._model = model
        self._statement = statement
        self._columns = columns
        self._make = make
        self._any_of = any_of
        self._filters = filters
        # As many as there are orders and choices: what may be sorted by is an allow-list.
        self._prepared: dict[Any, tuple[Narrowed, PreparedStatement]] = {}
        self._counts: dict[Any, PreparedStatement] = {}

    def has(self, request: PageRequest) -> bool:
        """Whether the request is filtered by nothing but a choice of one of each of `filters`."""
        return all(
            name in self._filters and not (isinstance(value, tuple) and len(value) > 1)
            for name, value in _sent(request)
        )

    async def read(self, session: AsyncSession, request: PageRequest, **values: Any) -> Slice[T]:
        """One page, of a request that it `has`. `values` are the statement's own parameters."""
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
        key = (request.sort, request.page is None, request.after is None, _sent(request))
        if (known := self._prepared.get(key)) is not None:
            return known
        found = self._narrow(request)
        rows = found.first(_REACH)
        if request.page is not None:
            rows = rows.limit(_SIZE).offset(_OFFSET)
        made = self._prepared[key] = (found, PreparedStatement(rows))
        return made

    def _counting(self, request: PageRequest) -> PreparedStatement:
        key = _sent(request)
        if key not in self._counts:
            self._counts[key] = PreparedStatement(self._narrow(request).count())
        return self._counts[key]

    def _narrow(self, request: PageRequest) -> Narrowed:
        request = replace(request, filters=dict(_sent(request)))
        if request.after is None:
            return self._narrowed(request)
        order = self._narrowed(replace(request, after=None)).order
        place = [
            bindparam(_place(number), type_=part.column.type) for number, part in enumerate(order)
        ]
        return self._narrowed(replace(request, after=tuple(place)))

    def _narrowed(self, request: PageRequest) -> Narrowed:
        return narrow(
            self._model, self._statement, request, self._columns, self._filters, self._any_of
        )


def _sent(request: PageRequest) -> tuple[tuple[str, Any], ...]:
    """The filters that were sent, to look something up by."""
    return tuple(
        (name, tuple(value) if isinstance(value, list) else value)
        for name, value in request.filters.items()
        if value is not None
    )


def _place(number: int) -> str:
    return f"place_{number}"
