"""The success envelope, typed, so that OpenAPI and generated clients know what is inside."""

from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, Field

from app.core.links import announce_links
from app.core.pagination import CursorMeta, Page, PageMeta

T = TypeVar("T")
SchemaT = TypeVar("SchemaT", bound=BaseModel)


class SuccessResponse(BaseModel, Generic[T]):
    """The envelope of one thing: `{"success": true, "data", "message", "meta"}`."""

    success: Literal[True] = True
    data: T
    message: str | None = Field(None, description="A sentence for a person, where there is one.")
    meta: dict[str, Any] | None = None


class PageResponse(BaseModel, Generic[T]):
    """The envelope of a list: `data` holds one page, `meta` says which and what comes next."""

    success: Literal[True] = True
    data: list[T]
    message: str | None = None
    meta: PageMeta | CursorMeta


def success_response(
    data: T, *, message: str | None = None, meta: dict[str, Any] | None = None
) -> SuccessResponse[T]:
    """Wrap `data` (a schema, a dict, or an ORM object) in the envelope.

    It is not a `Response`, so the route's own `status_code` holds. An ORM object needs the
    route's return annotation (`-> SuccessResponse[ItemResponse]`), which decides what is shown;
    without one the request fails rather than leak its columns.
    """
    return SuccessResponse(data=data, message=message, meta=meta)


def page_response(page: Page[Any], schema: type[SchemaT]) -> PageResponse[SchemaT]:
    """Wrap one page of a list in the envelope, each row shown through `schema`.

    The answer gets a `Link` header that leads to the other pages.
    """
    announce_links(page.links)
    return PageResponse(data=[schema.model_validate(row) for row in page.items], meta=page.meta)
