"""The success envelope, typed, so that OpenAPI and generated clients know what is inside."""

from typing import Any, Generic, Literal, TypeVar, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field

from app.core.links import announce_links
from app.core.pagination import CursorMeta, Page, PageMeta

T = TypeVar("T")
SchemaT = TypeVar("SchemaT", bound=BaseModel)


class Envelope(BaseModel):
    """What has a default is there nevertheless, and generated types say so."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)


class SuccessResponse(Envelope, Generic[T]):
    """The envelope of one thing: `{"success": true, "data", "message", "meta"}`."""

    success: Literal[True] = True
    data: T
    message: str | None = Field(None, description="A sentence for a person, where there is one.")
    meta: dict[str, Any] | None = None

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        """Of `SuccessResponse[ItemResponse]`: ItemEnvelope, as generated types are called."""
        return f"{_subject(params[0])}Envelope"


class PageResponse(Envelope, Generic[T]):
    """The envelope of a list: `data` holds one page, `meta` says which and what comes next."""

    success: Literal[True] = True
    data: list[T]
    message: str | None = None
    meta: PageMeta | CursorMeta

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        """Of `PageResponse[ItemResponse]`: ItemPage."""
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
    route's return annotation (`-> SuccessResponse[ItemResponse]`), which decides what is shown;
    without one the request fails rather than leak its columns.
    """
    return SuccessResponse(data=data, message=message, meta=meta)


def page_response(page: Page[Any], schema: type[SchemaT]) -> PageResponse[SchemaT]:
    """Wrap one page of a list in the envelope, each row shown through `schema`.

    The answer gets a `Link` header that leads to the other pages.
    """
    announce_links(page.links)
    response: Any = PageResponse
    # Of the route's own type, or each row would be validated by itself, and once more at the end.
    return cast("PageResponse[SchemaT]", response[schema](data=page.items, meta=page.meta))
