"""The `If-Match` and `If-None-Match` of a request, the API's optimistic lock."""

from functools import cache
from typing import Any, Final

from fastapi import Depends, Request
from pydantic import BaseModel

from mscr.core.exceptions import PreconditionRequiredError, ValidationFailedError
from mscr.endpoints.requests import collaborators_of
from mscr.http.header_names import IF_MATCH, IF_NONE_MATCH
from mscr.http.preconditions import EntityTags, Preconditions
from mscr.http.representation import representations_of
from mscr.http.request_parameters import documents, header_parameter

READS: Final = {"GET", "HEAD"}
WRITES: Final = {"PUT", "PATCH", "DELETE"}
_NAMES: Final = {name.lower().encode() for name in (IF_MATCH, IF_NONE_MATCH)}

_TAG: Final = '"5bCEVDLdSbiDh1nzF4oDyw"'
_TAGS: Final = r'(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*'
# Several header lines are one list (RFC 9110 §5.3); one line is all that clients need documented.
_SCHEMA: Final = {
    "type": "string",
    "format": "entity-tags",
    "pattern": rf"^(\*|{_TAGS})$",
    "examples": [_TAG],
}
PARAMETERS: Final = (
    header_parameter(
        IF_MATCH,
        "Proceed only if the current version has one of these ETags; `*`: any version.",
        _SCHEMA,
    ),
    header_parameter(
        IF_NONE_MATCH, "Proceed only if the current version has none of these ETags.", _SCHEMA
    ),
)


def preconditions_on(schema: type[BaseModel]) -> Any:
    """Annotate the `Preconditions` of a request for an object of this response schema.

    Usage: `ItemPreconditions = Annotated[Preconditions, preconditions_on(ItemResponse)]`.
    """

    @documents(PARAMETERS)
    async def get_preconditions(request: Request) -> Preconditions:
        return read_preconditions(request, schema)

    return Depends(get_preconditions)


def read_preconditions(request: Request, schema: type[BaseModel]) -> Preconditions:
    """Return the conditions of a request for an object of this response schema.

    Raise `PreconditionRequiredError` for a write without `If-Match` if REQUIRE_IF_MATCH is set, and
    `ValidationFailedError` for a malformed header.
    """
    method = request.method
    reading = method in READS
    required = method in WRITES and collaborators_of(request).settings.REQUIRE_IF_MATCH
    if not required and _NAMES.isdisjoint(dict(request.scope["headers"])):
        return _no_conditions(schema, reading=reading)
    if_match = request.headers.getlist(IF_MATCH)
    if_none_match = request.headers.getlist(IF_NONE_MATCH)
    if required and not if_match:
        raise PreconditionRequiredError
    return Preconditions(
        schema,
        if_match=_parsed(IF_MATCH, if_match),
        if_none_match=_parsed(IF_NONE_MATCH, if_none_match),
        reading=reading,
        # A write changes the object after the check, so its response must be serialized anew.
        kept=representations_of(request) if reading and (if_match or if_none_match) else None,
    )


@cache
def _no_conditions(schema: type[BaseModel], *, reading: bool) -> Preconditions:
    """Return those of most requests, which nothing changes."""
    return Preconditions(schema, reading=reading)


def _parsed(name: str, lines: list[str]) -> EntityTags | None:
    if not lines:
        return None
    try:
        # Several header lines are one list (RFC 9110 §5.3).
        return EntityTags.parse(", ".join(lines))
    except ValueError:
        # Ignoring a malformed header would allow a write that the client wanted prevented.
        raise ValidationFailedError(
            "Input should be * or a list of entity tags, each in double quotes",
            loc=("header", name),
            error_type="entity_tags",
        ) from None
