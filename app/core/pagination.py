"""Lists: `page` + `per_page` with a total, or `cursor` + `limit` at constant cost at any depth.

A service opens a `PageRequest` with the `Pager`, hands it to a repository's named query, and
closes the `Slice` that comes back into a `Page`. Repositories never see a cursor's text.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Final, Generic, Self, TypeVar
from uuid import UUID

from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from app.core.exceptions import ValidationFailedError
from app.core.links import Links, query_reference
from app.core.security import base64url
from app.core.validation import InputModel

T = TypeVar("T")

DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 100
# Pages by number cost as much as they skip: they end here, and a cursor goes on.
MAX_NUMBERED_ROWS = 10_000
CURSOR_TAG_BYTES = 16
# How well a row fits the words of a search. Computed for each search, so no cursor can hold it.
RELEVANCE: Final = "relevance"

PageSize = Annotated[int, Field(ge=1, le=MAX_PAGE_SIZE, examples=[DEFAULT_PAGE_SIZE])]


def sort_field(*columns: str, default: str = "-created_at") -> Any:
    """The `sort` parameter of a list that may be ordered by these columns, and by no others."""
    column = f"-?({'|'.join(columns)})"
    return Field(
        default,
        pattern=f"^{column}(,{column})*$",
        max_length=100,
        description=f"Columns to sort by ({', '.join(columns)}); `-` for descending.",
    )


class ListQuery(InputModel):
    """Query parameters of a list. A resource adds its own `sort_field` and its filters.

    Each field of a subclass but `sort` is a filter, which the repository has a condition for.
    """

    # The order of cursor pages where pages have one that cursors cannot have.
    cursor_sort: ClassVar[str] = "-created_at"

    page: Annotated[int, Field(ge=1, le=MAX_NUMBERED_ROWS)] | None = Field(
        None,
        description="Page number, from 1. Not together with `cursor`. Pages end at row "
        f"{MAX_NUMBERED_ROWS:,}: `page` times `per_page` (by default {DEFAULT_PAGE_SIZE}) is no "
        "more; further rows are read by `cursor`.",
        examples=[1],
    )
    per_page: PageSize | None = Field(None, description="Rows on a page.")
    cursor: Annotated[str, Field(max_length=2048)] | None = Field(
        None,
        description="`next_cursor` of the last answer; empty for the first page.",
        examples=[""],
    )
    limit: PageSize | None = Field(None, description="Rows in a cursor's page.")
    sort: str = sort_field("created_at")

    @model_validator(mode="after")
    def _one_way_of_paging(self) -> Self:
        by_page = self.page is not None or self.per_page is not None
        if by_page and self.by_cursor:
            raise PydanticCustomError(
                "paging_mixed", "Use page and per_page, or cursor and limit, not both"
            )
        if self.by_cursor and self.by_relevance:
            if "sort" in self.model_fields_set:
                raise PydanticCustomError(
                    "relevance_by_cursor", "By relevance there are pages only, and no cursors"
                )
            self.sort = self.cursor_sort
        return self

    @property
    def by_cursor(self) -> bool:
        return self.cursor is not None or self.limit is not None

    @property
    def by_relevance(self) -> bool:
        return any(key.field == RELEVANCE for key in sort_keys(self.sort))

    def filters(self) -> dict[str, Any]:
        """Every filter there is, with None for those that are not asked for."""
        names = [name for name in type(self).model_fields if name not in ListQuery.model_fields]
        return {name: getattr(self, name) for name in names}

    def parameters(self) -> dict[str, Any]:
        """What was asked for, but for the place in the list."""
        sent = self.model_dump(mode="json", exclude_unset=True, exclude_none=True)
        return {name: value for name, value in sent.items() if name not in {"page", "cursor"}}


class PageMeta(BaseModel):
    """Which page this is, and of how many."""

    page: int = Field(examples=[1])
    per_page: int = Field(examples=[20])
    total: int = Field(examples=[41])
    pages: int = Field(examples=[3])


class CursorMeta(BaseModel):
    """Where to go on: `next_cursor` is null on the last page."""

    limit: int = Field(examples=[20])
    next_cursor: str | None = Field(examples=["hARuR6hhTWMUedTRrwGUbFsieCIs"])


@dataclass(frozen=True, slots=True)
class SortKey:
    field: str
    descending: bool


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What a repository needs to know: how many rows, from where, in which order."""

    size: int
    sort: tuple[SortKey, ...]
    page: int | None
    after: tuple[Any, ...] | None
    scope: str
    filters: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def by_relevance(self) -> bool:
        return any(key.field == RELEVANCE for key in self.sort)

    @property
    def searches(self) -> bool:
        """Whether the rows are to be found by words, which is what the filter `q` is for."""
        return self.filters.get("q") is not None

    @property
    def offset(self) -> int:
        return 0 if self.page is None else (self.page - 1) * self.size

    @property
    def reach(self) -> int:
        """The last row of a page with a number."""
        return self.offset + self.size

    @property
    def ends_numbers(self) -> bool:
        """Whether the next page can have no number any more."""
        return self.page is not None and self.reach + self.size > MAX_NUMBERED_ROWS


@dataclass(frozen=True, slots=True)
class Slice(Generic[T]):
    """One page of rows: `total` when paged by number, `next_key` when a cursor goes on from it."""

    items: Sequence[T]
    total: int | None = None
    next_key: tuple[Any, ...] | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    items: Sequence[T]
    meta: PageMeta | CursorMeta
    links: Links = field(default_factory=dict)


class InvalidCursorError(ValidationFailedError):
    code = "invalid_cursor"
    title = "Invalid cursor"

    def __init__(self) -> None:
        super().__init__(
            "The cursor does not belong to this list.", loc=("query", "cursor"), error_type="cursor"
        )


class PageTooDeepError(ValidationFailedError):
    def __init__(self) -> None:
        super().__init__(
            f"Pages end at row {MAX_NUMBERED_ROWS:,}: page times per_page may be no more. "
            "Read on with cursor and limit.",
            loc=("query", "page"),
            error_type="page_too_deep",
        )


class CursorCodec:
    """Signs a position in a list. Bound to a scope, so that no other list or caller takes it."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = keys

    def encode(self, position: tuple[Any, ...], scope: str) -> str:
        values = [_to_json(value) for value in position]
        # As short as can be: titles of any letters have room in a URL.
        payload = json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()
        tag = self._tag(self._keys[0], payload, scope)
        return base64url.encode(tag + payload)

    def decode(self, cursor: str, scope: str) -> tuple[Any, ...]:
        """Raises `InvalidCursorError` for anything this codec did not sign for this scope."""
        try:
            raw = base64url.decode(cursor)
        except ValueError:
            raise InvalidCursorError from None
        tag, payload = raw[:CURSOR_TAG_BYTES], raw[CURSOR_TAG_BYTES:]
        if not any(hmac.compare_digest(tag, self._tag(key, payload, scope)) for key in self._keys):
            raise InvalidCursorError
        return tuple(_from_json(value) for value in json.loads(payload))

    @staticmethod
    def _tag(key: bytes, payload: bytes, scope: str) -> bytes:
        message = hashlib.sha256(scope.encode()).digest() + payload
        return hmac.digest(key, message, "sha256")[:CURSOR_TAG_BYTES]


def _to_json(value: Any) -> Any:
    """Columns that are sorted by may have any of these types, or one that JSON knows."""
    for name, (kind, encode, _) in _ENCODINGS.items():
        if isinstance(value, kind):
            return {name: encode(value)}
    return value


def _from_json(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    [(name, text)] = value.items()
    _, _, decode = _ENCODINGS[name]
    return decode(text)


# A datetime is a date too: it comes first.
_ENCODINGS: dict[str, tuple[type, Callable[[Any], str], Callable[[str], Any]]] = {
    "datetime": (datetime, datetime.isoformat, datetime.fromisoformat),
    "date": (date, date.isoformat, date.fromisoformat),
    "time": (time, time.isoformat, time.fromisoformat),
    "decimal": (Decimal, str, Decimal),
    "uuid": (UUID, str, UUID),
}


class Pager:
    """Turns a list's query into a `PageRequest`, and the rows into a `Page`."""

    def __init__(self, cursors: CursorCodec) -> None:
        self._cursors = cursors

    def open(self, query: ListQuery, resource: str, viewer: str) -> PageRequest:
        """`resource` and `viewer` (a public id) say whose list of what a cursor belongs to.

        Raises `InvalidCursorError` for a cursor of another list, filter, order or viewer, and
        `PageTooDeepError` for a page that would end beyond `MAX_NUMBERED_ROWS`.
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
        )
        if request.reach > MAX_NUMBERED_ROWS:
            raise PageTooDeepError
        return request

    def close(self, found: Slice[T], request: PageRequest) -> Page[T]:
        if request.page is None:
            return self._close_by_cursor(found, request)
        total = found.total or 0
        pages = -(-total // request.size)
        meta = PageMeta(page=request.page, per_page=request.size, total=total, pages=pages)
        links = _page_links(request, request.page, pages)
        cursor = self._next_cursor(found, request)
        if cursor is not None and request.page < pages:
            further = {n: v for n, v in request.parameters.items() if n != "per_page"}
            links |= {"next": query_reference(further, cursor=cursor, limit=request.size)}
        return Page(found.items, meta, links)

    def _next_cursor(self, found: Slice[T], request: PageRequest) -> str | None:
        key = found.next_key
        return None if key is None else self._cursors.encode(key, request.scope)

    def _close_by_cursor(self, found: Slice[T], request: PageRequest) -> Page[T]:
        cursor = self._next_cursor(found, request)
        relations = {"next": cursor, "first": ""}
        links = {
            relation: query_reference(request.parameters, cursor=place)
            for relation, place in relations.items()
            if place is not None
        }
        return Page(found.items, CursorMeta(limit=request.size, next_cursor=cursor), links)


def _page_links(request: PageRequest, page: int, pages: int) -> Links:
    last = min(max(pages, 1), MAX_NUMBERED_ROWS // request.size)
    relations = {
        "next": page + 1 if page < last else None,
        # From beyond the end back to where there is something.
        "prev": min(page - 1, last),
        "first": 1,
        "last": last,
    }
    return {
        relation: query_reference(request.parameters, page=number)
        for relation, number in relations.items()
        if number
    }


def sort_keys(sort: str) -> tuple[SortKey, ...]:
    keys: dict[str, SortKey] = {}
    for part in sort.split(","):
        field = part.removeprefix("-")
        keys.setdefault(field, SortKey(field, descending=part.startswith("-")))
    return tuple(keys.values())
