"""Pages of frequently requested lists, read by prepared statements."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Enum,
    Integer,
    Select,
    Text,
    bindparam,
    literal,
    literal_column,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from mscr.core.sort_order import RELEVANCE, SortKey
from mscr.db.shared_connection import shared_connection
from mscr.models.base import ModelBase
from mscr.queries.filters import Filter
from mscr.queries.full_text import FullText
from mscr.queries.keyset import position_of
from mscr.queries.pagination import PageRequest, Slice
from mscr.queries.paging import Narrowed, SortColumns, key_after_numbers, narrow, total_on_page
from mscr.queries.prepared_statement import PreparedStatement

NO_CHOICES: Final[Mapping[str, InstrumentedAttribute[Any]]] = MappingProxyType({})

_LAST_ROW: Final = bindparam("last_row", type_=Integer)
_SIZE: Final = bindparam("size", type_=Integer)
_OFFSET: Final = bindparam("offset", type_=Integer)
_WORDS: Final = bindparam("words", type_=Text)
# The column of a numbered page that has the total: no field of a response has such a name.
_TOTAL: Final = "total of the list"
# Numbers of rows to read for a page by cursor or the first numbered one; surplus rows are dropped.
# The LIMIT is a literal, so that PostgreSQL caches a generic plan. With a bound LIMIT, it assumes
# 10 % of the rows. On a large table it may then never cache a generic plan, but plan each request
# anew, which takes as long as reading the rows.
_READ_AT_ONCE: Final = (20, 50, 100)


class PreparedPages:
    """The same pages as `BaseRepository._paginate` returns, from prepared statements.

    Rows are named tuples. Values that change with each request are `bindparam`s in `statement` and
    `any_of`. Sort columns must not be nullable. `choices` maps filter fields to enum columns: each
    value of an enum gets a statement of its own. `searched` tables have an index for `FullText`.
    """

    def __init__(
        self,
        model: type[ModelBase],
        statement: Select[*tuple[Any, ...]],
        columns: SortColumns,
        *,
        any_of: Sequence[ColumnElement[bool]] = (),
        choices: Mapping[str, InstrumentedAttribute[Any]] = NO_CHOICES,
        searched: bool = False,
    ) -> None:
        self._model = model
        self._statement = statement
        self._columns = columns
        self._any_of = any_of
        self._filters = {name: _chosen(column) for name, column in choices.items()}
        self._searched = searched
        self._texts: dict[str, FullText] = {}
        # Bounded: the number of sort orders, times values of choices, times ten kinds of pages,
        # twice for a search.
        self._prepared: dict[Any, tuple[Narrowed, PreparedStatement]] = {}
        self._counts: dict[Any, PreparedStatement] = {}

    def is_prepared_for(self, request: PageRequest) -> bool:
        """Return whether `read` can serve the request.

        It needs one sort column, at most one value of each choice, and no other filter than a
        search. Two sort columns have too many orders to keep a statement for each.
        """
        return (
            len(request.sort) == 1
            and (self._searched or not request.searches)
            and all(name in self._filters and len(values) == 1 for name, values in _sent(request))
        )

    async def read(self, session: AsyncSession, request: PageRequest, **values: Any) -> Slice[Any]:
        """Read one page, if `is_prepared_for` the request. `values` are bind parameters."""
        text = self._text_in(session) if request.searches else None
        if text is not None:
            values["words"] = text.query(request.filters["q"])
        if request.page is None:
            return await self._read_by_cursor(session, request, values, text)
        prepared, page = self._prepare(request, text)
        place: dict[str, int] = {}
        if _read_at_once(request) is None:
            place = {"size": request.size, "offset": request.offset}
            if self._any_of and text is None:
                # Limits the branches of alternatives: no page needs rows beyond it.
                place["last_row"] = request.last_row
        with shared_connection(session):
            rows = (await page.all(session, **place, **values))[: request.size]
            if rows and text is None:
                total = rows[0][-1]
            elif (total := total_on_page(rows, request)) is None:
                total = await self._counting(request, text).scalar(session, **values)
        return Slice(rows, total=total, next_key=key_after_numbers(rows, request, prepared.order))

    def _text_in(self, session: AsyncSession) -> FullText:
        """Return the search of this kind of database: always the same object, as a key."""
        dialect = session.get_bind().dialect.name
        if dialect not in self._texts:
            self._texts[dialect] = FullText(self._model, session)
        return self._texts[dialect]

    async def _read_by_cursor(
        self,
        session: AsyncSession,
        request: PageRequest,
        values: dict[str, Any],
        text: FullText | None,
    ) -> Slice[Any]:
        found, following = self._prepare(request, text)
        place = {_place(number): value for number, value in enumerate(request.after or ())}
        rows = await following.all(session, **place, **values)
        items = rows[: request.size]
        more = len(rows) > request.size
        return Slice(items, next_key=position_of(items[-1], found.order) if more else None)

    def _prepare(
        self, request: PageRequest, text: FullText | None
    ) -> tuple[Narrowed, PreparedStatement]:
        at_once = _read_at_once(request)
        kind = (at_once, request.page is None, request.after is None)
        key = (_orders(request), kind, _sent(request), text)
        if (known := self._prepared.get(key)) is not None:
            return known
        found = self._narrow(request, text)
        if at_once is None:
            rows = found.page(last_row=_LAST_ROW, size=_SIZE, offset=_OFFSET)
        elif request.page is None:
            rows = found.first(at_once if text else _literal(at_once))
        else:
            first = _literal(at_once)
            rows = found.page(last_row=first, size=first, offset=_literal(0))
        if request.page is not None and text is None:
            # Counting in a statement of its own would be one more round trip. A search has one:
            # both parts would have CTEs of one name.
            total = found.count().correlate(None).scalar_subquery()
            rows = rows.add_columns(total.label(_TOTAL))
        made = self._prepared[key] = (found, PreparedStatement(rows))
        return made

    def _counting(self, request: PageRequest, text: FullText | None) -> PreparedStatement:
        key = (_orders(request), _sent(request), text)
        if key not in self._counts:
            self._counts[key] = PreparedStatement(self._narrow(request, text).count())
        return self._counts[key]

    def _narrow(self, request: PageRequest, text: FullText | None) -> Narrowed:
        words = {} if text is None else {"q": _WORDS}
        request = replace(request, filters={**dict(_sent(request)), **words})
        if request.after is None:
            return self._narrowed(request, text)
        order = self._narrowed(replace(request, after=None), text).order
        place = [
            bindparam(_place(number), type_=part.column.type) for number, part in enumerate(order)
        ]
        return self._narrowed(replace(request, after=tuple(place)), text)

    def _narrowed(self, request: PageRequest, text: FullText | None) -> Narrowed:
        shown = statement = self._statement
        columns, filters = self._columns, self._filters
        if text is not None:
            filters = {**filters, "q": text.matches}
            if request.by_relevance:
                statement, relevance = text.ranked(shown, _WORDS)
                columns = {**columns, RELEVANCE: relevance}
        return narrow(self._model, statement, request, columns, filters, self._any_of, shown)


def _read_at_once(request: PageRequest) -> int | None:
    """Return the number for a literal LIMIT, or None for a page that skips rows.

    A page by cursor reads one row more, which shows whether there is a next page.
    """
    if request.offset:
        return None
    size = next((count for count in _READ_AT_ONCE if count >= request.size), request.size)
    return size + (request.page is None)


def _literal(number: int) -> ColumnElement[int]:
    return literal_column(str(number), Integer)


def _chosen(column: InstrumentedAttribute[Any]) -> Filter:
    """Return a filter with the value as a literal: rare and frequent values get different plans."""
    if not isinstance(column.type, Enum):
        raise TypeError("values sent by clients would each become a statement that stays cached")

    def condition(values: Sequence[Any]) -> ColumnElement[bool]:
        value = literal(values[0], column.type).compile(compile_kwargs={"literal_binds": True})
        return column == literal_column(str(value), column.type)

    return condition


def _sent(request: PageRequest) -> tuple[tuple[str, tuple[Any, ...]], ...]:
    """Return the filters that were sent, as a hashable key, without the words of a search."""
    return tuple(
        (name, tuple(value) if isinstance(value, list) else (value,))
        for name, value in request.filters.items()
        if value is not None and name != "q"
    )


def _orders(request: PageRequest) -> tuple[tuple[SortKey, ...], ...]:
    """Return the orders that the page depends on: that of its candidates, for one by relevance."""
    return (request.sort, request.ranked_from) if request.by_relevance else (request.sort,)


def _place(number: int) -> str:
    return f"place_{number}"
