"""Bases of all schemas: strict input, and output read from attributes."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import cache
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
    GetJsonSchemaHandler,
    SerializationInfo,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    field_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema, from_json

from mscr.models.email_key import email_key
from mscr.schemas.json_types import wrong_json_type
from mscr.schemas.validation import InputModel, is_text

# A text that is more than white space, matched after surrounding white space was stripped. The
# characters are listed one by one, because \S differs between dialects of regular expressions.
NOT_BLANK: Final = r"[^\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIME_OF_DAY: Final = re.compile(r"^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?$")
# An offset whose + was not escaped in a URL, where it stands for a space.
_UNESCAPED_OFFSET: Final = re.compile(r"T.* \d{2}:?\d{2}$")


class RequestSchema(InputModel):
    """Base of every request's body: unknown fields are refused, and no text contains NUL.

    Each value must have the documented JSON type, except in files whose values are all texts (CSV).
    """

    @field_validator("*", mode="wrap")
    @classmethod
    def _refuse_another_json_type(
        cls, sent: Any, read: ValidatorFunctionWrapHandler, info: ValidationInfo
    ) -> Any:
        try:
            value = read(sent)
        except ValidationError:
            if not is_text(info) or (json_value := _object_or_list(sent)) is None:
                raise
            return read(json_value)
        # The common case. Texts are never converted from another type.
        if value is sent or isinstance(value, str) or is_text(info):
            return value
        if (fault := wrong_json_type(sent, value)) is not None:
            raise fault
        return value


def _object_or_list(cell: Any) -> dict[str, Any] | list[Any] | None:
    """Return the JSON object or list in a cell of a CSV file, or None."""
    try:
        value = from_json(cell, allow_inf_nan=False)
    except (TypeError, ValueError):
        return None
    return value if isinstance(value, dict | list) else None


class ResponseSchema(BaseModel):
    """Base of every response: built from an ORM object, a row or a dict."""

    # Fields with a default are always present in responses, also in generated types.
    model_config = ConfigDict(
        from_attributes=True, json_schema_serialization_defaults_required=True
    )


class PublicResource(ResponseSchema):
    """Base of objects in responses: the public id, and times in UTC."""

    public_id: UUID
    created_at: datetime
    updated_at: datetime


@cache
def attributes_of(schema: type[BaseModel]) -> tuple[str, ...]:
    """Return the names of the attributes that a response is read from: aliases, else its fields."""
    return tuple(
        field.validation_alias if isinstance(field.validation_alias, str) else name
        for name, field in schema.model_fields.items()
    )


def _valid_email(value: str) -> str:
    key = email_key(value)
    # A fullwidth a looks like a: an account with one could impersonate another (RFC 8265 §3.3).
    if not unicodedata.is_normalized("NFKC", key):
        raise PydanticCustomError("email", "Input should be a valid email address")
    if _is_reserved(key.rpartition("@")[2]):
        raise PydanticCustomError(
            "email_reserved", "The domain is reserved (RFC 6761): no mail can be delivered to it"
        )
    try:
        validate_email(value, check_deliverability=False)
        # Validate the key too: it can be many times longer, or contain a second @.
        validate_email(key, check_deliverability=False)
    except EmailNotValidError:
        # Not the library's message, which quotes the address.
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

# An upper bound for any password; the policy of the settings is stricter (PASSWORD_MAX_LENGTH).
Password = Annotated[
    str,
    Field(
        min_length=1,
        max_length=1024,
        json_schema_extra={"format": "password"},
        examples=["seven wet umbrellas"],
    ),
]


# Pydantic would also accept Unix timestamps, even in texts, which the documented format refuses.
def _dated(value: Any) -> Any:
    if isinstance(value, str) and _UNESCAPED_OFFSET.search(value):
        raise PydanticCustomError(
            "datetime_parsing", "Input should be a valid datetime; in a URL, write its + as %2B"
        )
    if isinstance(value, datetime) or (isinstance(value, str) and _DATE.match(value)):
        return value
    raise PydanticCustomError("datetime_parsing", "Input should be a valid datetime")


def _day(value: Any) -> Any:
    if isinstance(value, date) or (isinstance(value, str) and _DATE.fullmatch(value)):
        return value
    raise PydanticCustomError("date_parsing", "Input should be a valid date: YYYY-MM-DD")


def _time_of_day(value: Any) -> Any:
    if isinstance(value, time) or (isinstance(value, str) and _TIME_OF_DAY.fullmatch(value)):
        return value
    raise PydanticCustomError(
        "time_parsing", "Input should be a valid time without an offset: HH:MM:SS"
    )


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        # In the first and the last year, an offset can lead out of the range of datetime.
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

# Not `format: time`: that has an offset (RFC 3339), which a column of type `Time` would drop.
TimeOfDay = Annotated[
    time,
    BeforeValidator(_time_of_day),
    WithJsonSchema({"type": "string", "pattern": _TIME_OF_DAY.pattern, "examples": ["12:30:00"]}),
]


# As wide as the columns `Integer` and `BigInteger`. Without bounds, the databases would differ.
Int32 = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]
# FastAPI converts bounds to floats in OpenAPI: 2**63 is exact, but 2**63 - 1 is rounded up.
Int64 = Annotated[int, Field(ge=-(2**63), lt=2**63)]

# Free JSON in a column of type `JSON`. `InputModel` refuses values that no response can contain.
# Pydantic's `JsonValue` would add the types of the values to the `loc` of an error.
JsonObject = Annotated[dict[str, Any], Field(examples=[{"colour": "red", "sizes": [1, 2]}])]


@dataclass(frozen=True, slots=True)
class ExactDecimal:
    """A decimal that travels as a string, exact in both directions and in plain notation.

    `Price = Annotated[Decimal, ExactDecimal(12, 2)]`, for a column of type `ExactNumeric(12, 2)`.
    A JSON number is refused, because it would have been a float on the way.
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
        serialization = core_schema.plain_serializer_function_ser_schema(
            _plain_notation, info_arg=True, return_schema=core_schema.any_schema()
        )
        return core_schema.no_info_wrap_validator_function(
            self._validate, core_schema.str_schema(), serialization=serialization
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        # The handler's schema has the examples if the field is nullable or a list.
        return {**handler(schema), "type": "string", "pattern": self.pattern}

    def _validate(self, value: Any, read_text: Callable[[Any], str]) -> Decimal:
        number = value if isinstance(value, Decimal) else self._parse(read_text(value))
        # Normalize like the column, so that responses are the same before and after storing:
        # adding zero appends the missing decimal places, and turns -0 into 0.
        return number + Decimal(0).scaleb(-self.scale)

    def _parse(self, text: str) -> Decimal:
        if re.fullmatch(self.pattern, text):
            return Decimal(text)
        raise PydanticCustomError(
            "string_pattern_mismatch",
            "Input should be a {kind}, in plain notation: at most {whole} digits before "
            "and {scale} after the point",
            {
                "kind": "decimal" if self.signed else "decimal without a sign",
                "whole": self.precision - self.scale,
                "scale": self.scale,
            },
        )


def _plain_notation(value: Decimal, info: SerializationInfo) -> Decimal | str:
    return value if info.mode == "python" else format(value, "f")


SearchText = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=NOT_BLANK),
    Field(
        description="Words that must all occur. The last one may be a prefix.",
        examples=["milk"],
    ),
]
