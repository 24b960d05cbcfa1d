from typing import Annotated

from pydantic import MISSING, Field

from mscr.schemas.base import PublicResource, RequestSchema

Text = Annotated[str, Field(min_length=1, max_length=2000, examples=["Buy milk"])]


class NoteCreate(RequestSchema):
    text: Text


class NoteUpdate(RequestSchema):
    text: Text | MISSING = MISSING


class NoteResponse(PublicResource):
    text: Text
