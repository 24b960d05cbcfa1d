"""Compare column types: can a column of the database hold all values of the model's type?"""

from typing import Any, Final

from sqlalchemy import (
    JSON,
    REAL,
    BigInteger,
    Boolean,
    Date,
    DateTime,
    Dialect,
    Float,
    Integer,
    LargeBinary,
    Numeric,
    SmallInteger,
    String,
    Time,
    TypeDecorator,
)
from sqlalchemy.types import NullType, TypeEngine

Type = TypeEngine[Any]

# Types of different families have no values in common. Types without a family are not compared.
_FAMILIES: Final[tuple[tuple[type[Type], ...], ...]] = (
    (Boolean,),
    (Integer,),
    (Numeric, Float),
    (String,),
    (DateTime,),
    (Date,),
    (Time,),
    (LargeBinary,),
    (JSON,),
)


def is_unfit(actual: Type, needed: Type, dialect: Dialect) -> bool:
    """Return whether `actual` refuses or changes some values of `needed`. Wider types are fit."""
    if isinstance(actual, NullType) or actual.compile(dialect) == needed.compile(dialect):
        return False
    needed = plain_type(needed, dialect)
    family = _family(needed)
    if family is None or _family(actual) is None:
        return False
    return family is not _family(actual) or _is_narrower(actual, needed, dialect)


def plain_type(type_: Type, dialect: Dialect) -> Type:
    """Return the type without its `TypeDecorator`s, in the dialect's variant."""
    found = type_.dialect_impl(dialect)
    return plain_type(found.impl_instance, dialect) if isinstance(found, TypeDecorator) else found


def _family(type_: Type) -> tuple[type[Type], ...] | None:
    return next((family for family in _FAMILIES if isinstance(type_, family)), None)


def _is_narrower(actual: Type, needed: Type, dialect: Dialect) -> bool:
    if isinstance(needed, Integer):
        return dialect.name != "sqlite" and _width(actual) < _width(needed)
    if isinstance(needed, Float) and isinstance(actual, Float):
        return dialect.name != "sqlite" and _bits(actual) < _bits(needed)
    if isinstance(needed, DateTime):
        return bool(needed.timezone and not getattr(actual, "timezone", False))
    # A column without a bound fits anything. A column with one cannot fit a type without.
    bounds = [(getattr(actual, name, None), getattr(needed, name, None)) for name in _BOUNDS]
    return any(has is not None and (wants is None or has < wants) for has, wants in bounds)


_BOUNDS: Final = ("length", "precision", "scale")


def _bits(type_: Float[Any]) -> int:
    """Return the digits of the mantissa. PostgreSQL reports DOUBLE PRECISION for FLOAT, with 53."""
    return type_.precision or (24 if isinstance(type_, REAL) else 53)


def _width(type_: Type) -> int:
    return 1 if isinstance(type_, SmallInteger) else 3 if isinstance(type_, BigInteger) else 2
