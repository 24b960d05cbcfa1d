"""Checks that a value fits its column, before the database refuses it or cuts it off.

The databases differ: PostgreSQL reports no column, SQLite stores too long a text, and its driver
fails on integers beyond 64 bits.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache
from typing import Any, Final

from pydantic_core import PydanticCustomError
from sqlalchemy import JSON, BigInteger, Enum, Integer, Numeric, SmallInteger, String
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator, TypeEngine

from app.core.exceptions import ValidationFailedError
from app.core.validation import check_sound

# Raises `PydanticCustomError` for a value that does not fit.
Check = Callable[[Any], None]

_BITS: Final = ((BigInteger, 64), (SmallInteger, 16), (Integer, 32))


def require_fit(
    model: type[DeclarativeBase],
    values: Mapping[str, Any],
    *,
    loc: tuple[str | int, ...] = ("body",),
) -> None:
    """Raise `ValidationFailedError`, with `loc` and the attribute's name, for what does not fit."""
    checks = _checks(model)
    for name in values.keys() & checks.keys():
        try:
            checks[name](values[name])
        except PydanticCustomError as error:
            raise ValidationFailedError(
                error.message(), loc=(*loc, name), error_type=error.type
            ) from None


@cache
def _checks(model: type[DeclarativeBase]) -> dict[str, Check]:
    columns = ((a.key, a.columns[0].type) for a in model.__mapper__.column_attrs)
    checks = ((name, check_of(column_type)) for name, column_type in columns)
    return {name: check for name, check in checks if check is not None}


def check_of(column_type: TypeEngine[Any]) -> Check | None:
    """Return the check of a column's type, or None if anything fits that has the type."""
    if isinstance(column_type, TypeDecorator):
        return check_of(column_type.impl_instance)
    if isinstance(column_type, Numeric) and column_type.asdecimal and column_type.precision:
        return _decimal_check(column_type.precision, column_type.scale or 0)
    if isinstance(column_type, String) and not isinstance(column_type, Enum):
        return None if column_type.length is None else _length_check(column_type.length)
    if isinstance(column_type, JSON):
        # For values that came in through no `InputModel`: a row that no response can hold would
        # break every list with it.
        return check_sound
    for integer_type, bits in _BITS:
        if isinstance(column_type, integer_type):
            return _range_check(bits)
    return None


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
    """Whether that many digits before and after the point are enough to write the number exactly.

    Counted, as arithmetic would round to the 28 digits of the context.
    """
    _, digits, exponent = Decimal(value).as_tuple()
    if not isinstance(exponent, int):
        return False  # an infinity or NaN
    significant = "".join(map(str, digits)).rstrip("0")
    zeros = len(digits) - len(significant)
    return not value or (len(digits) + exponent <= whole and -(exponent + zeros) <= scale)
