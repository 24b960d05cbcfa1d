from typing import Annotated
from uuid import UUID

from pydantic import MISSING, Field

from mscr.schemas.base import PublicResource, RequestSchema

Title = Annotated[str, Field(min_length=1, max_length=200, examples=["On tea"])]
Text = Annotated[str, Field(min_length=1, max_length=20_000, examples=["Warm the pot first."])]


class ArticleCreate(RequestSchema):
    title: Title
    text: Text


class ArticleUpdate(RequestSchema):
    title: Title | MISSING = MISSING
    text: Text | MISSING = MISSING


class ArticleResponse(PublicResource):
    title: Title
    text: Text
    owner_public_id: UUID
