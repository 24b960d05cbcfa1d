"""Lists: `page` + `per_page` with a total, or `cursor` + `limit` at constant cost at any depth.

1. The service calls `Pager.page_request`, which verifies the cursor and returns a `PageRequest`.
2. A named query of the repository returns the `Slice` of rows for it.
3. `Pager.page` turns the `Slice` into a `Page`, with links and a signed cursor for the next page.

Repositories never see the text of a cursor, only its position.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from mscr.core.exceptions import ValidationFailedError
from mscr.core.links import Links, query_reference
from mscr.core.sort_order import RELEVANCE, SortKey, sort_keys
from mscr.queries.cursors import CursorCodec
from mscr.schemas.list_schemas import (
    DEFAULT_PAGE_SIZE,
    MAX_NUMBERED_ROWS,
    MAX_SEARCHED_ROWS,
    CursorMeta,
    ListQuery,
    OffsetQuery,
    PageMeta,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A page for a repository to read: its size, position, sort order and filters.

    A search by relevance ranks its first matches in the order of `ranked_from`.
    """

    size: int
    sort: tuple[SortKey, ...]
    page: int | None
    after: tuple[Any, ...] | None
    scope: str
    filters: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    # Turns the rows into a `Page`. None for a request that is no page of a list.
    pager: "Pager | None" = None
    ranked_from: tuple[SortKey, ...] = ()
    # The number of rows to skip, if it does not follow from the number of the page.
    start: int | None = None

    @classmethod
    def of_rows(cls, query: OffsetQuery, sort: str = "-created_at") -> "PageRequest":
        """Return the request for the rows of `limit` and `offset`."""
        return cls(
            size=query.limit,
            sort=sort_keys(sort),
            page=1,
            after=None,
            scope="",
            filters=query.filters(),
            start=query.offset,
        )

    @property
    def by_relevance(self) -> bool:
        return any(key.field == RELEVANCE for key in self.sort)

    @property
    def searches(self) -> bool:
        """Whether this is a full-text search: the filter `q` was sent."""
        return self.filters.get("q") is not None

    @property
    def most_rows(self) -> int:
        """The bound of totals and of numbered pages."""
        return MAX_SEARCHED_ROWS if self.searches else MAX_NUMBERED_ROWS

    @property
    def offset(self) -> int:
        if self.start is not None:
            return self.start
        return 0 if self.page is None else (self.page - 1) * self.size

    @property
    def last_row(self) -> int:
        """The number of the last row of a numbered page."""
        return self.offset + self.size

    @property
    def is_last_numbered(self) -> bool:
        """Whether this is the last page that can have a number: a cursor must follow."""
        return self.page is not None and self.last_row + self.size > self.most_rows


@dataclass(frozen=True, slots=True)
class Slice(Generic[T]):
    """One page of rows. `total` is for numbered pages, `next_key` for the next cursor.

    A `total` beyond the request's `most_rows` is shown as "at least" so many, and may be inexact.
    """

    items: Sequence[T]
    total: int | None = None
    next_key: tuple[Any, ...] | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    items: Sequence[T]
    meta: PageMeta | CursorMeta
    links: Links = field(default_factory=dict)


class PageTooDeepError(ValidationFailedError):
    def __init__(self, most_rows: int) -> None:
        super().__init__(
            f"Pages end at row {most_rows:,}: page times per_page must not exceed it. "
            "Read further rows with cursor and limit.",
            loc=("query", "page"),
            error_type="page_too_deep",
        )


class Pager:
    """Turns the query of a list into a `PageRequest`, and the rows into a `Page`."""

    def __init__(self, cursors: CursorCodec) -> None:
        self._cursors = cursors

    def page_request(self, query: ListQuery, resource: str, viewer: str) -> PageRequest:
        """Return the request for one page of a list.

        Cursors are bound to `resource` (the list), `viewer` (the caller's public id), filters and
        order. Raise `InvalidCursorError` for a cursor of any other, and `PageTooDeepError` for a
        numbered page that would end beyond the bound of the list.
        """
        filters = query.model_dump_json(exclude={"page", "per_page", "cursor", "limit"})
        scope = f"{resource}|{viewer}|{filters}"
        after = self._cursors.decode(query.cursor, scope) if query.cursor else None
        size = (query.limit if query.by_cursor else query.per_page) or DEFAULT_PAGE_SIZE
        request = PageRequest(
            size=size,
            sort=sort_keys(query.sort),
            page=None if query.by_cursor else query.page or 1,
            after=after,
            scope=scope,
            filters=query.filters(),
            parameters=query.parameters(),
            pager=self,
            ranked_from=sort_keys(query.cursor_sort),
        )
        if request.last_row > request.most_rows:
            raise PageTooDeepError(request.most_rows)
        return request

    def page(self, found: Slice[T], request: PageRequest) -> Page[T]:
        """Return the page with its metadata, links and next cursor."""
        if request.page is None:
            return self._page_by_cursor(found, request)
        total = found.total or 0
        meta = _page_meta(request, request.page, total)
        links = _page_links(request, meta, total)
        cursor = self._next_cursor(found, request)
        # Page numbers end at a bound: the last one links to a cursor instead.
        if cursor is not None and request.last_row < total:
            further = {n: v for n, v in request.parameters.items() if n != "per_page"}
            links |= {"next": query_reference(further, cursor=cursor, limit=request.size)}
        return Page(found.items, meta, links)

    def _next_cursor(self, found: Slice[T], request: PageRequest) -> str | None:
        key = found.next_key
        return None if key is None else self._cursors.encode(key, request.scope)

    def _page_by_cursor(self, found: Slice[T], request: PageRequest) -> Page[T]:
        cursor = self._next_cursor(found, request)
        relations = {"next": cursor, "first": ""}  # an empty cursor requests the first page
        links = {
            relation: query_reference(request.parameters, cursor=place)
            for relation, place in relations.items()
            if place is not None
        }
        return Page(found.items, CursorMeta(limit=request.size, next_cursor=cursor), links)


def _page_meta(request: PageRequest, page: int, total: int) -> PageMeta:
    return PageMeta(
        page=page,
        per_page=request.size,
        total=min(total, request.most_rows),
        total_relation="eq" if total <= request.most_rows else "gte",
        pages=min(-(-total // request.size), request.most_rows // request.size),
    )


def _page_links(request: PageRequest, meta: PageMeta, total: int) -> Links:
    last = max(meta.pages, 1)
    relations = {
        "next": meta.page + 1 if meta.page < last else None,
        # From a page beyond the end, back to the last page.
        "prev": min(meta.page - 1, last),
        "first": 1,
        # The end of a longer list has no number.
        "last": last if total <= last * request.size else None,
    }
    return {
        relation: query_reference(request.parameters, page=number)
        for relation, number in relations.items()
        if number
    }
