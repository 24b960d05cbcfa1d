"""Check that values fit their columns, before the database refuses or truncates them.

The databases differ: PostgreSQL's error names no column, SQLite stores a text that is too long, and
its driver fails on integers beyond 64 bits.
"""

from collections.abc import Callable, Mapping
from datetime import time
from decimal import Decimal
from functools import cache
from typing import Any, Final

from pydantic_core import PydanticCustomError
from sqlalchemy import JSON, BigInteger, Enum, Integer, Numeric, SmallInteger, String, Time
from sqlalchemy.orm import Mapper
from sqlalchemy.types import TypeDecorator, TypeEngine

from mscr.core.exceptions import ValidationFailedError
from mscr.models.base import ModelBase
from mscr.schemas.validation import check_sound

# Raises `PydanticCustomError` for a value that does not fit.
Check = Callable[[Any], None]

_BITS: Final = ((BigInteger, 64), (SmallInteger, 16), (Integer, 32))


def require_fit(
    model: type[ModelBase],
    values: Mapping[str, Any],
    *,
    loc: tuple[str | int, ...] = ("body",),
) -> None:
    """Raise `ValidationFailedError`, with `loc` and the attribute, if a value does not fit."""
    checks = _checks(model.__mapper__)
    for name in values.keys() & checks.keys():
        try:
            checks[name](values[name])
        except PydanticCustomError as error:
            raise ValidationFailedError(
                error.message(), loc=(*loc, name), error_type=error.type
            ) from None


@cache
def _checks(mapper: Mapper[Any]) -> dict[str, Check]:
    columns = ((a.key, a.columns[0].type) for a in mapper.column_attrs)
    checks = ((name, check_of(column_type)) for name, column_type in columns)
    return {name: check for name, check in checks if check is not None}


def check_of(column_type: TypeEngine[Any]) -> Check | None:
    """Return the check of a column's type, or None if all values of the type fit."""
    if isinstance(column_type, TypeDecorator):
        return check_of(column_type.impl_instance)
    if isinstance(column_type, Numeric) and column_type.asdecimal and column_type.precision:
        return _decimal_check(column_type.precision, column_type.scale or 0)
    if isinstance(column_type, String) and not isinstance(column_type, Enum):
        return None if column_type.length is None else _length_check(column_type.length)
    if isinstance(column_type, Time) and not column_type.timezone:
        return _check_without_offset
    if isinstance(column_type, JSON):
        # For values that no `InputModel` has validated: a value that no response can hold would
        # break every list that contains its row.
        return check_sound
    bits = next((bits for kind, bits in _BITS if isinstance(column_type, kind)), None)
    return None if bits is None else _range_check(bits)


def _check_without_offset(value: Any) -> None:
    """Refuse a time with an offset, which the column would drop."""
    if isinstance(value, time) and value.tzinfo is not None:
        raise PydanticCustomError("time_without_offset", "Input should be a time without an offset")


def _range_check(bits: int) -> Check:
    lowest, highest = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1

    def check(value: Any) -> None:
        if isinstance(value, int) and not lowest <= value <= highest:
            raise PydanticCustomError(
                "int_out_of_range",
                "Input should be between {lowest} and {highest}",
                {"lowest": lowest, "highest": highest},
            )

    return check


def _length_check(length: int) -> Check:
    def check(value: Any) -> None:
        if isinstance(value, str) and len(value) > length:
            raise PydanticCustomError(
                "string_too_long",
                "Input should have at most {length} characters",
                {"length": length},
            )

    return check


def _decimal_check(precision: int, scale: int) -> Check:
    def check(value: Any) -> None:
        if isinstance(value, int | Decimal) and not _has_places(value, precision - scale, scale):
            raise PydanticCustomError(
                "decimal_out_of_range",
                "Input should have at most {whole} digits before and {scale} after the point",
                {"whole": precision - scale, "scale": scale},
            )

    return check


def _has_places(value: int | Decimal, whole: int, scale: int) -> bool:
    """Return whether the number has at most so many digits before and after the point.

    It counts digits, because decimal arithmetic would round to the 28 digits of its context.
    """
    _, digits, exponent = Decimal(value).as_tuple()
    if not isinstance(exponent, int):
        return False  # an infinity or NaN
    significant = "".join(map(str, digits)).rstrip("0")
    zeros = len(digits) - len(significant)
    return not value or (len(digits) + exponent <= whole and -(exponent + zeros) <= scale)
