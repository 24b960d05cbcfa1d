from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import MISSING, Field, StringConstraints

from examples.catalogue.models.item import ItemStatus
from examples.catalogue.schemas.tag_schemas import TagIds, TagNames, TagReference
from mscr.core.sort_order import RELEVANCE
from mscr.endpoints.export_rows import ExportQuery
from mscr.schemas.base import NOT_BLANK, Moment, PublicResource, RequestSchema, SearchText
from mscr.schemas.bulk_schemas import RowTarget
from mscr.schemas.list_schemas import ListQuery, sort_field
from mscr.schemas.validation import InputModel

Title = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=NOT_BLANK),
    Field(examples=["Buy milk"]),
]
TitlePrefix = Annotated[str, Field(min_length=1, max_length=200, examples=["Buy"])]
Description = Annotated[str, StringConstraints(max_length=5000), Field(examples=["Two litres"])]


class ItemRow(RequestSchema):
    """An item of a bulk request or of a file. Rows have no tags."""

    title: Title
    description: Description | None = None
    status: ItemStatus = ItemStatus.DRAFT


class ItemCreate(ItemRow):
    tags: TagNames = Field(
        default=[], description="Names of the caller's tags. Missing tags are created."
    )


class ItemChange(RequestSchema):
    """Changes only the fields that are sent. Only the description may be null."""

    title: Title | MISSING = MISSING
    description: Description | None = None
    status: ItemStatus | MISSING = MISSING


class ItemUpdate(ItemChange):
    tags: TagNames | MISSING = Field(
        default=MISSING,
        description="The item's complete set of tags, by the names of its owner's tags.",
    )


class ItemUpdateRow(ItemChange, RowTarget):
    """An item of a bulk request, and the fields to change."""


class ItemFilters(InputModel):
    status: Annotated[list[ItemStatus], Field(min_length=1, max_length=3)] | None = Field(
        default=None,
        description="Any of these, repeated for several: `status=draft&status=archived`.",
    )
    created_at_gte: Moment | None = None
    created_at_lte: Moment | None = None
    updated_at_gte: Moment | None = None
    updated_at_lte: Moment | None = None
    tag: TagIds | None = Field(
        default=None,
        description="Public ids of tags, repeated for several: items with any of them.",
    )
    tag_all: TagIds | None = Field(
        default=None,
        description="Public ids of tags, repeated for several: items with all of them.",
    )
    title_prefix: TitlePrefix | None = Field(
        default=None, description="Prefix of the title, case-sensitive."
    )
    description_null: bool | None = Field(
        default=None,
        description="true: only items without a description; false: only items with one.",
    )
    q: SearchText | None = None


class ItemListQuery(ItemFilters, ListQuery):
    # Each column is also in SORTABLE of `item_view.py`.
    sort: str = sort_field("created_at", "updated_at", "title")


class ItemExportQuery(ItemFilters, ExportQuery):
    """The filters of the list."""


class ItemSearchQuery(ItemListQuery):
    sort: str = sort_field(RELEVANCE, "created_at", "updated_at", "title", default=f"-{RELEVANCE}")
    # Required here. Queries are never assigned to, so that the narrower type is sound.
    q: SearchText  # pyright: ignore[reportGeneralTypeIssues, reportIncompatibleVariableOverride]


class DeletedItemListQuery(ListQuery):
    sort: str = sort_field("deleted_at", "title", default="-deleted_at")


class ItemExported(PublicResource):
    title: str = Field(examples=["Buy milk"])
    description: str | None = Field(examples=["Two litres"])
    status: ItemStatus
    owner_public_id: UUID


class ItemResponse(ItemExported):
    tags: list[TagReference]


class DeletedItemResponse(ItemResponse):
    deleted_at: datetime
