"""The success envelope, typed, so that OpenAPI and generated clients have the type of its data."""

from typing import Any, Generic, Literal, TypeVar, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field

from mscr.core.links import announce_links
from mscr.queries.pagination import Page, PageRequest, Slice
from mscr.schemas.list_schemas import CursorMeta, PageMeta

T = TypeVar("T")
SchemaT = TypeVar("SchemaT", bound=BaseModel)


class Envelope(BaseModel):
    """Base of envelopes: fields with a default are always present, also in generated types."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)


class SuccessResponse(Envelope, Generic[T]):
    """The envelope of one object: `{"success": true, "data", "message", "meta"}`."""

    success: Literal[True] = True
    data: T
    message: str | None = Field(default=None, description="A sentence for people, or null.")
    meta: dict[str, Any] | None = None

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        """Return ItemEnvelope for `SuccessResponse[ItemResponse]`: generated types are named so."""
        return f"{_subject(params[0])}Envelope"


class PageResponse(Envelope, Generic[T]):
    """The envelope of a list: `data` holds one page, `meta` its place and how to continue."""

    success: Literal[True] = True
    data: list[T]
    message: str | None = None
    meta: PageMeta | CursorMeta

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        """Return ItemPage for `PageResponse[ItemResponse]`."""
        return f"{_subject(params[0])}Page"


def _subject(data: Any) -> str:
    if get_origin(data) is list:
        return f"{_subject(get_args(data)[0])}List"
    if data is None:
        return "Empty"
    return str(getattr(data, "__name__", data)).removesuffix("Response")


def success_response(
    data: T, *, message: str | None = None, meta: dict[str, Any] | None = None
) -> SuccessResponse[T]:
    """Wrap `data` (a schema, a dict, or an ORM object) in the envelope.

    It is not a `Response`, so the route's own `status_code` holds. An ORM object needs the
    route's return annotation (`-> SuccessResponse[ItemResponse]`), which selects the fields;
    without one the request fails rather than leak its columns.
    """
    return SuccessResponse(data=data, message=message, meta=meta)


def page_response(
    rows: Page[Any] | Slice[Any], schema: type[SchemaT], request: PageRequest | None = None
) -> PageResponse[SchemaT]:
    """Wrap one page of a list in the envelope, each row shown through `schema`.

    The response gets a `Link` header with the other pages. The rows of a repository need the
    `request` that they were read for.
    """
    page = rows if isinstance(rows, Page) else _page(rows, request)
    announce_links(page.links)
    response: Any = PageResponse
    # Use the route's own type: otherwise each row would be validated twice.
    return cast("PageResponse[SchemaT]", response[schema](data=page.items, meta=page.meta))


def _page(rows: Slice[T], request: PageRequest | None) -> Page[T]:
    if request is None or request.pager is None:
        raise TypeError("rows of a repository need the page request of `ListPage` or `page_of()`")
    return request.pager.page(rows, request)
