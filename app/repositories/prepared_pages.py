"""The pages of a list that many ask for, from statements that are compiled once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import ColumnElement, Enum, Integer, Select, bindparam, literal, literal_column
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from app.core.pagination import PageRequest, Slice
from app.models.base import Base
from app.repositories.filters import Filter
from app.repositories.keyset import position_of
from app.repositories.paging import Narrowed, SortColumns, beyond_numbers, narrow
from app.repositories.prepared_statement import PreparedStatement, one_connection

T = TypeVar("T")

NO_CHOICES: Final[Mapping[str, InstrumentedAttribute[Any]]] = MappingProxyType({})

_REACH: Final = bindparam("reach", type_=Integer)
_SIZE: Final = bindparam("size", type_=Integer)
_OFFSET: Final = bindparam("offset", type_=Integer)
# How many rows are read for a page by cursor, of which what is too many is left out. PostgreSQL
# plans a statement with a number once. A parameter for LIMIT it takes for a tenth of the table:
# where that is much, it plans anew for each request, which takes as long as reading.
_READ_AT_ONCE: Final = (21, 51, 101)


class PreparedPages(Generic[T]):
    """The pages of `statement`, as `BaseRepository._paginate` makes them.

    The columns are passed to `make`, in their order. What changes from request to request is a
    `bindparam` in `statement` and `any_of`. No column that is sorted by may be null. `choices` are
    the columns of filters for one or more values of an enum: there is a statement for each value.
    """

    def __init__(
        self,
        model: type[Base],
        statement: Select[*tuple[Any, ...]],
        columns: SortColumns,
        make: Callable[..., T],
        *,
        any_of: Sequence[ColumnElement[bool]] = (),
        choices: Mapping[str, InstrumentedAttribute[Any]] = NO_CHOICES,
    ) -> None:
        self._model = model
        self._statement = statement
        self._columns = columns
        self._make = make
        self._any_of = any_of
        self._filters = {name: _chosen(column) for name, column in choices.items()}
        # As many as orders, times values of choices, times seven kinds of pages.
        self._prepared: dict[Any, tuple[Narrowed, PreparedStatement]] = {}
        self._counts: dict[Any, PreparedStatement] = {}

    def has(self, request: PageRequest) -> bool:
        """Whether it is filtered by nothing but one value of each choice, and sorted by one column.

        Of two columns there are too many orders to keep a statement for each.
        """
        return len(request.sort) == 1 and all(
            name in self._filters and len(values) == 1 for name, values in _sent(request)
        )

    async def read(self, session: AsyncSession, request: PageRequest, **values: Any) -> Slice[T]:
        """One page, of a request that it `has`. `values` are the statement's own parameters."""
        if request.page is None:
            return await self._read_by_cursor(session, request, values)
        prepared, page = self._prepare(request)
        with one_connection(session):
            rows = await page.all(
                session,
                reach=request.reach,
                size=request.size,
                offset=request.offset,
                **values,
            )
            total = await self._counting(request).scalar(session, **values)
        items = [self._make(*row) for row in rows]
        return Slice(items, total=total, next_key=beyond_numbers(items, request, prepared.order))

    async def _read_by_cursor(
        self, session: AsyncSession, request: PageRequest, values: dict[str, Any]
    ) -> Slice[T]:
        found, following = self._prepare(request)
        place = {_place(number): value for number, value in enumerate(request.after or ())}
        rows = await following.all(session, **place, **values)
        items = [self._make(*row) for row in rows[: request.size]]
        more = len(rows) > request.size
        return Slice(items, next_key=position_of(items[-1], found.order) if more else None)

    def _prepare(self, request: PageRequest) -> tuple[Narrowed, PreparedStatement]:
        at_once = _read_at_once(request)
        key = (request.sort, at_once, request.after is None, _sent(request))
        if (known := self._prepared.get(key)) is not None:
            return known
        found = self._narrow(request)
        if at_once is None:
            rows = found.page(reach=_REACH, size=_SIZE, offset=_OFFSET)
        else:
            rows = found.first(literal_column(str(at_once), Integer))
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


def _read_at_once(request: PageRequest) -> int | None:
    """So many that one more than asked for says if there is a next page; None for numbered ones."""
    if request.page is not None:
        return None
    wanted = request.size + 1
    return next((count for count in _READ_AT_ONCE if count >= wanted), wanted)


def _chosen(column: InstrumentedAttribute[Any]) -> Filter:
    """The value is in the statement's text: the rare and the frequent get plans of their own."""
    if not isinstance(column.type, Enum):
        raise TypeError("whatever clients may send would become a statement, and stay")

    def condition(values: Sequence[Any]) -> ColumnElement[bool]:
        value = literal(values[0], column.type).compile(compile_kwargs={"literal_binds": True})
        return column == literal_column(str(value), column.type)

    return condition


def _sent(request: PageRequest) -> tuple[tuple[str, tuple[Any, ...]], ...]:
    """The filters that were sent, to look something up by."""
    return tuple(
        (name, tuple(value) if isinstance(value, list) else (value,))
        for name, value in request.filters.items()
        if value is not None
    )


def _place(number: int) -> str:
    return f"place_{number}"
