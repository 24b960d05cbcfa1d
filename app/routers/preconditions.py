"""`If-Match` and `If-None-Match`: what a request demands of the object that it is about."""

from typing import Any, Final

from fastapi import Depends, Request
from pydantic import BaseModel

from app.core.dependencies import collaborators_of
from app.core.exceptions import PreconditionRequiredError, ValidationFailedError
from app.core.openapi_headers import IF_MATCH, IF_NONE_MATCH
from app.core.preconditions import EntityTags, Preconditions, Versioned, entity_tag
from app.core.request_parameters import documents, header_parameter

READS: Final = {"GET", "HEAD"}
WRITES: Final = {"PUT", "PATCH", "DELETE"}

_TAG: Final = '"5bCEVDLdSbiDh1nzF4oDyw"'
_TAGS: Final = r'(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*'
# Several lines are one list (RFC 9110 §5.3), and one line is all that a client needs to know of.
_SCHEMA: Final = {
    "type": "string",
    "format": "entity-tags",
    "pattern": rf"^(\*|{_TAGS})$",
    "examples": [_TAG],
}
_PARAMETERS: Final = (
    header_parameter(
        IF_MATCH, "Do it only to the version with one of these ETags; `*`: to any.", _SCHEMA
    ),
    header_parameter(IF_NONE_MATCH, "Do it only if the version has none of these ETags.", _SCHEMA),
)


def preconditions_on(schema: type[BaseModel]) -> Any:
    """Annotates the `Preconditions` of a request for an object that `schema` shows.

    Its use: `ItemPreconditions = Annotated[Preconditions, preconditions_on(ItemResponse)]`.
    """

    def tag_of(entity: Versioned) -> str:
        return entity_tag(entity, schema.model_validate(entity))

    @documents(_PARAMETERS)
    async def get_preconditions(request: Request) -> Preconditions:
        if_match = request.headers.getlist(IF_MATCH)
        if_none_match = request.headers.getlist(IF_NONE_MATCH)
        required = collaborators_of(request).settings.REQUIRE_IF_MATCH and request.method in WRITES
        if required and not if_match:
            raise PreconditionRequiredError
        return Preconditions(
            tag_of,
            if_match=_parsed(IF_MATCH, if_match),
            if_none_match=_parsed(IF_NONE_MATCH, if_none_match),
            reading=request.method in READS,
        )

    return Depends(get_preconditions)


def _parsed(name: str, lines: list[str]) -> EntityTags | None:
    if not lines:
        return None
    try:
        # Several lines are one list (RFC 9110 §5.3).
        return EntityTags.parse(", ".join(lines))
    except ValueError:
        # To do as if it had not been sent would be to write what should not be written.
        raise ValidationFailedError(
            "Input should be * or a list of entity tags, each in double quotes",
            loc=("header", name),
            error_type="entity_tags",
        ) from None
