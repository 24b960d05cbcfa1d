"""Whether a column of the database can hold what the code's type of it needs."""

from typing import Any, Final

from sqlalchemy import (
    JSON,
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

# A value of one is none of another. Types that are in no family are not compared.
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
    """Whether values of `needed` are refused or changed: wider types are fit."""
    needed = plain_type(needed, dialect)
    if isinstance(actual, NullType) or actual.compile(dialect) == needed.compile(dialect):
        return False
    family = _family(needed)
    if family is None or _family(actual) is None:
        return False
    return family is not _family(actual) or _is_narrower(actual, needed, dialect)


def plain_type(type_: Type, dialect: Dialect) -> Type:
    """The type without decorators, in the variant of the dialect."""
    found = type_.dialect_impl(dialect)
    return plain_type(found.impl_instance, dialect) if isinstance(found, TypeDecorator) else found


def _family(type_: Type) -> tuple[type[Type], ...] | None:
    return next((family for family in _FAMILIES if isinstance(type_, family)), None)


def _is_narrower(actual: Type, needed: Type, dialect: Dialect) -> bool:
    if isinstance(needed, Integer):
        return dialect.name != "sqlite" and _width(actual) < _width(needed)
    if isinstance(needed, DateTime):
        return bool(needed.timezone and not getattr(actual, "timezone", False))
    # Without a bound, anything fits; a bound of none at all is larger than any.
    bounds = [(getattr(actual, name, None), getattr(needed, name, None)) for name in _BOUNDS]
    return any(has is not None and (wants is None or has < wants) for has, wants in bounds)


_BOUNDS: Final = ("length", "precision", "scale")


def _width(type_: Type) -> int:
    return 1 if isinstance(type_, SmallInteger) else 3 if isinstance(type_, BigInteger) else 2
