"""Bases of all schemas: what comes in is strict, what goes out is read from attributes."""

import re
import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from uuid import UUID

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)
from pydantic_core import PydanticCustomError

from app.core.validation import InputModel
from app.models.email_key import email_key

# A text that is more than white space. White space around it is taken off before this is asked.
# Which letters that are is said one by one: of \S, every language has its own idea.
NOT_BLANK: Final = r"[^\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


class RequestSchema(InputModel):
    """Base of every request's body: unknown fields are refused, and no text holds a NUL."""


class ResponseSchema(BaseModel):
    """Base of every response: built from an ORM object, a row or a dict."""

    # What has a default is there nevertheless, and generated types say so.
    model_config = ConfigDict(
        from_attributes=True, json_schema_serialization_defaults_required=True
    )


class PublicResource(ResponseSchema):
    """What everything that the API shows has: its public id and its times, in UTC."""

    public_id: UUID
    created_at: datetime
    updated_at: datetime


def _valid_email(value: str) -> str:
    key = email_key(value)
    # A fullwidth a looks like a: an account of its own would impersonate another (RFC 8265 §3.3).
    if not unicodedata.is_normalized("NFKC", key):
        raise PydanticCustomError("email", "Input should be a valid email address")
    if _is_reserved(key.rpartition("@")[2]):
        raise PydanticCustomError(
            "email_reserved", "The domain is reserved (RFC 6761): no mail can be delivered to it"
        )
    try:
        validate_email(value, check_deliverability=False)
        # Its key too, which can be many times longer, or hold a second @.
        validate_email(key, check_deliverability=False)
    except EmailNotValidError:
        # Our own words: the library's quote the address.
        raise PydanticCustomError("email", "Input should be a valid email address") from None
    return value


def _is_reserved(domain: str) -> bool:
    return any(f".{domain}".endswith(f".{name}") for name in SPECIAL_USE_DOMAIN_NAMES)


Email = Annotated[
    str,
    Field(max_length=254, json_schema_extra={"format": "email"}, examples=["ada@example.com"]),
    AfterValidator(str.strip),
    AfterValidator(_valid_email),
]

# A cap on what is read at all; the policy of the settings is stricter (PASSWORD_MAX_LENGTH).
Password = Annotated[
    str,
    Field(
        min_length=1,
        max_length=1024,
        json_schema_extra={"format": "password"},
        examples=["seven wet umbrellas"],
    ),
]


def _dated(value: Any) -> Any:
    # Pydantic would also read seconds since 1970, of which the documentation says nothing.
    if isinstance(value, str) and not _DATE.match(value):
        raise PydanticCustomError("datetime_parsing", "Input should be a valid datetime")
    return value


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        # At either end of what there is, an offset leads out of it.
        raise PydanticCustomError(
            "datetime_range", "Input should be between the years 1 and 9999 in UTC"
        ) from None


Moment = Annotated[
    AwareDatetime,
    Field(examples=["2027-01-31T12:00:00Z"]),
    BeforeValidator(_dated),
    AfterValidator(_in_utc),
]


SearchText = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=NOT_BLANK),
    Field(
        description="Words that must all be there; of the last one, the beginning is enough.",
        examples=["milk"],
    ),
]
