"""Find the value of a row that a column of the target cannot hold."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Dialect,
    Enum,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
)

from mscr.db.column_types import plain_type


def find_unfit(table: Table, row: dict[str, Any], dialect: Dialect) -> str | None:
    """Return the first column whose value does not fit, with the reason but without the value."""
    for column in table.columns:
        if column.key in row and (fault := _fault(column, row[column.key], dialect)):
            return f"{column.name} {fault}"
    return None


def _fault(column: Column[Any], value: Any, dialect: Dialect) -> str | None:
    if value is None:
        return None if column.nullable else "is null, which the column does not accept"
    type_ = plain_type(column.type, dialect)
    if isinstance(type_, String) and isinstance(value, str):
        return _text_fault(value, type_.length)
    if isinstance(type_, Integer) and isinstance(value, int):
        bits = _bits(type_)
        in_range = -(2 ** (bits - 1)) <= value < 2 ** (bits - 1)
        return None if in_range else f"is a number outside of {bits} bits"
    if isinstance(type_, Enum):
        # A subclass of String, whose value is a member. The type itself checks it.
        return None
    expected = {String: str, Integer: int, LargeBinary: bytes}
    for kind, python_type in expected.items():
        if isinstance(type_, kind) and not isinstance(value, python_type):
            return f"should be {python_type.__name__}, but is {type(value).__name__}"
    return None


def _bits(type_: Any) -> int:
    return 16 if isinstance(type_, SmallInteger) else 64 if isinstance(type_, BigInteger) else 32


def _text_fault(value: str, length: int | None) -> str | None:
    if "\0" in value:
        return "has a NUL character, which PostgreSQL does not store"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "is not valid Unicode"
    if length is not None and len(value) > length:
        return f"has {len(value)} characters, and {length} fit"
    return None
