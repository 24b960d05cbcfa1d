from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import MISSING, Field, StringConstraints

from app.core.pagination import ListQuery, sort_field
from app.models.item import ItemStatus
from app.schemas.base import PublicResource, RequestSchema

Title = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    Field(examples=["Buy milk"]),
]
Description = Annotated[str, StringConstraints(max_length=5000), Field(examples=["Two litres"])]


class ItemCreate(RequestSchema):
    title: Title
    description: Description | None = None
    status: ItemStatus = ItemStatus.DRAFT


class ItemUpdate(RequestSchema):
    """Only what is sent is changed; `null` clears the description, and nothing else."""

    title: Title | MISSING = MISSING
    description: Description | None = None
    status: ItemStatus | MISSING = MISSING


class ItemListQuery(ListQuery):
    sort: str = sort_field("created_at", "updated_at", "title")
    status: ItemStatus | None = None


class ItemSearchQuery(ItemListQuery):
    q: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class DeletedItemListQuery(ListQuery):
    sort: str = sort_field("deleted_at", "title", default="-deleted_at")


class ItemResponse(PublicResource):
    title: str = Field(examples=["Buy milk"])
    description: str | None = Field(examples=["Two litres"])
    status: ItemStatus
    owner_public_id: UUID


class DeletedItemResponse(ItemResponse):
    deleted_at: datetime
