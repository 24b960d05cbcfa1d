from typing import Annotated, Final
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from examples.catalogue.models.tag import NAME_KEY_LENGTH, NAME_LENGTH, tag_key
from mscr.schemas.base import NOT_BLANK, PublicResource, RequestSchema, ResponseSchema
from mscr.schemas.list_schemas import ListQuery, sort_field

MAX_TAGS: Final = 20


def _with_short_key(name: str) -> str:
    # Normalization can expand one character to a whole phrase, and the key is stored normalized.
    if len(tag_key(name)) > NAME_KEY_LENGTH:
        raise PydanticCustomError("tag_name", "Input should be written with simpler characters")
    return name


TagName = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=NAME_LENGTH, pattern=NOT_BLANK
    ),
    AfterValidator(_with_short_key),
    Field(examples=["home"]),
]
TagNames = Annotated[list[TagName], Field(max_length=MAX_TAGS, examples=[["home", "work"]])]
TagIds = Annotated[
    list[UUID],
    Field(min_length=1, max_length=MAX_TAGS, examples=[["01890a5d-ac96-774b-bcce-b302099a8057"]]),
]


class TagWrite(RequestSchema):
    name: TagName


class TagListQuery(ListQuery):
    sort: str = sort_field("name", "created_at", default="name")


class TagReference(ResponseSchema):
    """A tag, as shown on the objects that have it."""

    public_id: UUID
    name: str = Field(examples=["home"])


class TagResponse(PublicResource):
    name: str = Field(examples=["home"])


class CountedTagResponse(TagResponse):
    """In lists only: a number that changes with every item would be in the tag's `ETag`."""

    item_count: int = Field(
        examples=[3], description="Number of items with this tag, without deleted items."
    )
