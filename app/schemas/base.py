"""Bases of all schemas: what comes in is strict, what goes out is read from attributes."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
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
    GetCoreSchemaHandler,
    JsonValue,
    SerializationInfo,
    StringConstraints,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from app.core.json_types import wrong_json_type
from app.core.validation import InputModel, is_text
from app.models.email_key import email_key

# A text that is more than white space. White space around it is taken off before this is asked.
# Which letters that are is said one by one: of \S, every language has its own idea.
NOT_BLANK: Final = r"[^\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


class RequestSchema(InputModel):
    """Base of every request's body: unknown fields are refused, and no text holds a NUL.

    A value has the JSON type that is documented, except in a file whose values are all texts.
    """

    @field_validator("*", mode="wrap")
    @classmethod
    def _refuse_another_json_type(
        cls, sent: Any, read: ValidatorFunctionWrapHandler, info: ValidationInfo
    ) -> Any:
        value = read(sent)
        if not is_text(info) and (fault := wrong_json_type(sent, value)) is not None:
            raise fault
        return value


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


# Pydantic would also read seconds since 1970, as a text too, which the documented format refuses.
def _dated(value: Any) -> Any:
    if isinstance(value, datetime) or (isinstance(value, str) and _DATE.match(value)):
        return value
    raise PydanticCustomError("datetime_parsing", "Input should be a valid datetime")


def _day(value: Any) -> Any:
    if isinstance(value, date) or (isinstance(value, str) and _DATE.fullmatch(value)):
        return value
    raise PydanticCustomError("date_parsing", "Input should be a valid date: YYYY-MM-DD")


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


Day = Annotated[date, Field(examples=["2027-01-31"]), BeforeValidator(_day)]


# As wide as the columns: `Integer`, and `BigInteger`. Without a bound, the databases differ.
Int32 = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]
Int64 = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]

# Free JSON in a column of type `JSON`. What no response could hold is refused by `InputModel`.
JsonObject = Annotated[dict[str, JsonValue], Field(examples=[{"colour": "red", "sizes": [1, 2]}])]


@dataclass(frozen=True, slots=True)
class ExactDecimal:
    """A decimal that travels as a string, exact in both directions and in plain notation.

    `Price = Annotated[Decimal, ExactDecimal(12, 2)]`, for a column of type `ExactNumeric(12, 2)`.
    A JSON number would have been a float on the way, so it is refused.
    """

    precision: int
    scale: int
    signed: bool = False

    @property
    def pattern(self) -> str:
        whole = self.precision - self.scale
        digits = "0" if whole == 0 else f"(?:0|[1-9][0-9]{{0,{whole - 1}}})"
        places = f"(?:\\.[0-9]{{1,{self.scale}}})?" if self.scale else ""
        return f"^{'-?' if self.signed else ''}{digits}{places}$"

    def __get_pydantic_core_schema__(
        self, _source: Any, _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        text = core_schema.str_schema(pattern=self.pattern)
        serialization = core_schema.plain_serializer_function_ser_schema(
            _plain_notation, info_arg=True, return_schema=core_schema.any_schema()
        )
        return core_schema.no_info_wrap_validator_function(
            self._validate, text, serialization=serialization
        )

    def __get_pydantic_json_schema__(self, *_: object) -> dict[str, Any]:
        return {"type": "string", "pattern": self.pattern}

    def _validate(self, value: Any, read_text: Callable[[Any], str]) -> Decimal:
        if isinstance(value, Decimal):
            return value
        # As the column returns it, so that a response is the same before and after it was stored.
        number = Decimal(read_text(value)).quantize(Decimal(1).scaleb(-self.scale))
        return number or abs(number)


def _plain_notation(value: Decimal, info: SerializationInfo) -> Decimal | str:
    return value if info.mode == "python" else format(value, "f")


SearchText = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=NOT_BLANK),
    Field(
        description="Words that must all be there; of the last one, the beginning is enough.",
        examples=["milk"],
    ),
]
