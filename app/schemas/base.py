"""Bases of all schemas: what comes in is strict, what goes out is read from attributes."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError


class RequestSchema(BaseModel):
    """Base of every request: unknown fields are refused, and no text holds a NUL.

    PostgreSQL cannot store NUL, and SQLite would keep what PostgreSQL refuses.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    @field_validator("*")
    @classmethod
    def _refuse_nul(cls, value: Any) -> Any:
        if isinstance(value, str) and "\0" in value:
            raise PydanticCustomError("string_nul", "Text must not contain the NUL character")
        return value


class ResponseSchema(BaseModel):
    """Base of every response: built from an ORM object, a row or a dict."""

    model_config = ConfigDict(from_attributes=True)


class PublicResource(ResponseSchema):
    """What everything that the API shows has: its public id and its times, in UTC."""

    public_id: UUID
    created_at: datetime
    updated_at: datetime


def _valid_email(value: str) -> str:
    try:
        validate_email(value, check_deliverability=False)
    except EmailNotValidError:
        # Our own words: the library's quote the address.
        raise PydanticCustomError("email", "Input should be a valid email address") from None
    return value


Email = Annotated[
    str,
    Field(max_length=254, json_schema_extra={"format": "email"}, examples=["ada@example.com"]),
    AfterValidator(str.strip),
    AfterValidator(_valid_email),
]
