from typing import Annotated
from uuid import UUID

from pydantic import MISSING, Field, StringConstraints

from app.models.item import ItemStatus
from app.schemas.base import NOT_BLANK, Moment, PublicResource, RequestSchema, SearchText
from mscr.core.sort_order import RELEVANCE
from mscr.schemas.list_schemas import ListQuery, sort_field

Title = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=NOT_BLANK),
    Field(examples=["Buy milk"]),
]
TitlePrefix = Annotated[str, Field(min_length=1, max_length=200, examples=["Buy"])]
Description = Annotated[str, StringConstraints(max_length=5000), Field(examples=["Two litres"])]


class ItemCreate(RequestSchema):
    title: Title
    description: Description | None = None
    status: ItemStatus = ItemStatus.DRAFT


class ItemUpdate(RequestSchema):
    """Changes only the fields that are sent. Only the description may be null."""

    title: Title | MISSING = MISSING
    description: Description | None = None
    status: ItemStatus | MISSING = MISSING


class ItemListQuery(ListQuery):
    sort: str = sort_field("created_at", "updated_at", "title")
    status: Annotated[list[ItemStatus], Field(min_length=1, max_length=3)] | None = Field(
        default=None,
        description="Any of these, repeated for several: `status=draft&status=archived`.",
    )
    created_at_gte: Moment | None = None
    created_at_lte: Moment | None = None
    updated_at_gte: Moment | None = None
    updated_at_lte: Moment | None = None
    title_prefix: TitlePrefix | None = Field(
        default=None, description="Prefix of the title, case-sensitive."
    )
    description_null: bool | None = Field(
        default=None,
        description="true: only items without a description; false: only items with one.",
    )
    q: SearchText | None = None


class ItemSearchQuery(ItemListQuery):
    sort: str = sort_field(RELEVANCE, "created_at", "updated_at", "title", default=f"-{RELEVANCE}")
    # Required here. Queries are never assigned to, so that the narrower type is sound.
    q: SearchText  # pyright: ignore[reportGeneralTypeIssues, reportIncompatibleVariableOverride]


class ItemResponse(PublicResource):
    title: str = Field(examples=["Buy milk"])
    description: str | None = Field(examples=["Two litres"])
    status: ItemStatus
    owner_public_id: UUID
