from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from examples.catalogue.models.user import UserRole
from mscr.schemas.base import (
    NOT_BLANK,
    Moment,
    Password,
    PublicResource,
    RequestSchema,
    ResponseSchema,
)
from mscr.schemas.list_schemas import ListQuery, sort_field

Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=NOT_BLANK),
]
FullName = Annotated[Name, Field(examples=["Ada Lovelace"])]
Affiliation = Annotated[Name, Field(examples=["City Library"])]


class UserUpdate(RequestSchema):
    """Changes only the fields that are sent; `null` clears one."""

    full_name: FullName | None = None
    affiliation: Affiliation | None = None


class AccountDelete(RequestSchema):
    password: Password


class UserListQuery(ListQuery):
    sort: str = sort_field("created_at", "email")
    is_active: bool | None = None
    role: UserRole | None = None
    created_at_gte: Moment | None = None
    created_at_lte: Moment | None = None


class UserResponse(PublicResource):
    """A user, as the user and administrators see it."""

    email: str = Field(examples=["ada@example.com"])
    full_name: str | None = Field(examples=["Ada Lovelace"])
    affiliation: str | None = Field(examples=["City Library"])
    role: UserRole
    is_active: bool
    email_verified_at: datetime | None = Field(examples=["2026-01-31T12:00:00Z"])


class UserPublicResponse(ResponseSchema):
    """A user, as every caller sees it."""

    public_id: UUID
    full_name: str | None = Field(examples=["Ada Lovelace"])
