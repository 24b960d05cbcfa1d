from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints, field_validator
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError

from app.core.pagination import ListQuery, sort_field
from app.models.item import ItemStatus
from app.schemas.base import PublicResource, RequestSchema

Title = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    Field(examples=["Buy milk"]),
]
Description = Annotated[str, StringConstraints(max_length=5000)]


class ItemCreate(RequestSchema):
    title: Title
    description: Description | None = None
    status: ItemStatus = ItemStatus.DRAFT


class ItemUpdate(RequestSchema):
    """Only what is sent is changed; `null` clears the description, and nothing else."""

    title: Title | SkipJsonSchema[None] = None
    description: Description | None = None
    status: ItemStatus | SkipJsonSchema[None] = None

    @field_validator("title", "status")
    @classmethod
    def _refuse_null(cls, value: object) -> object:
        if value is None:
            raise PydanticCustomError("null_forbidden", "This field cannot be null")
        return value


class ItemListQuery(ListQuery):
    sort: str = sort_field("created_at", "updated_at", "title")
    status: ItemStatus | None = None


class ItemSearchQuery(ItemListQuery):
    q: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class ItemResponse(PublicResource):
    title: str
    description: str | None
    status: ItemStatus
    owner_public_id: UUID
