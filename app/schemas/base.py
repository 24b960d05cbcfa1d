"""The base classes of all schemas, and the types of their fields."""

from mscr.schemas import base as kit
from mscr.schemas.base import (
    NOT_BLANK,
    Day,
    Email,
    ExactDecimal,
    Int32,
    Int64,
    JsonObject,
    Moment,
    Password,
    SearchText,
    TimeOfDay,
)


class RequestSchema(kit.RequestSchema):
    """Base class of request bodies: strict types; unknown fields are refused."""


class ResponseSchema(kit.ResponseSchema):
    """Base class of responses, read from an object's attributes."""


class PublicResource(ResponseSchema, kit.PublicResource):
    """Base class of a resource in responses: it adds the public id."""
