from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import MISSING, Field, StringConstraints

from app.core.exports import ExportQuery
from app.core.pagination import RELEVANCE, ListQuery, sort_field
from app.core.validation import InputModel
from app.models.item import ItemStatus
from app.schemas.base import NOT_BLANK, Moment, PublicResource, RequestSchema, SearchText
from app.schemas.bulk_schemas import RowTarget
from app.schemas.tag_schemas import TagIds, TagNames, TagReference

Title = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=NOT_BLANK),
    Field(examples=["Buy milk"]),
]
TitlePrefix = Annotated[str, Field(min_length=1, max_length=200, examples=["Buy"])]
Description = Annotated[str, StringConstraints(max_length=5000), Field(examples=["Two litres"])]


class ItemRow(RequestSchema):
    """One item of many, or of a file: rows have no tags."""

    title: Title
    description: Description | None = None
    status: ItemStatus = ItemStatus.DRAFT


class ItemCreate(ItemRow):
    tags: TagNames = Field(
        [], description="Names of the caller's tags. What there is none of by now, is made."
    )


class ItemChange(RequestSchema):
    """Only what is sent is changed; `null` clears the description, and nothing else."""

    title: Title | MISSING = MISSING
    description: Description | None = None
    status: ItemStatus | MISSING = MISSING


class ItemUpdate(ItemChange):
    tags: TagNames | MISSING = Field(
        MISSING, description="All that it is to have, by the names of its owner's tags."
    )


class ItemUpdateRow(ItemChange, RowTarget):
    """One item of many, and what to change of it."""


class ItemFilters(InputModel):
    status: Annotated[list[ItemStatus], Field(min_length=1, max_length=3)] | None = Field(
        None, description="Any of these; to be repeated: `status=draft&status=archived`."
    )
    created_at_gte: Moment | None = None
    created_at_lte: Moment | None = None
    updated_at_gte: Moment | None = None
    updated_at_lte: Moment | None = None
    tag: TagIds | None = Field(
        None, description="Public ids of tags; to be repeated: items with any of them."
    )
    tag_all: TagIds | None = Field(
        None, description="Public ids of tags; to be repeated: items with all of them."
    )
    title_prefix: TitlePrefix | None = Field(
        None, description="How the title begins, capitals and all."
    )
    description_null: bool | None = Field(
        None, description="true: only those without a description; false: only those with one."
    )
    q: SearchText | None = None


class ItemListQuery(ItemFilters, ListQuery):
    sort: str = sort_field("created_at", "updated_at", "title")


class ItemExportQuery(ItemFilters, ExportQuery):
    """The filters of the list."""


class ItemSearchQuery(ItemListQuery):
    sort: str = sort_field(RELEVANCE, "created_at", "updated_at", "title", default=f"-{RELEVANCE}")
    q: SearchText


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
