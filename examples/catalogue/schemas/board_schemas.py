from typing import Annotated
from uuid import UUID

from pydantic import MISSING, Field

from mscr.schemas.base import PublicResource, RequestSchema, ResponseSchema

Name = Annotated[str, Field(min_length=1, max_length=100, examples=["Household"])]


class BoardCreate(RequestSchema):
    name: Name


class BoardUpdate(RequestSchema):
    name: Name | MISSING = MISSING


class MemberResponse(ResponseSchema):
    public_id: UUID


class BoardResponse(PublicResource):
    name: Name
    owner_public_id: UUID
    members: list[MemberResponse]
