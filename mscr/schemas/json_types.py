"""Refuse values of another JSON type than the documented one, which Pydantic would convert.

Pydantic accepts `"1"` and `true` for an integer, `1` for a boolean, and `0` for a date. The schemas
in OpenAPI refuse all of these, and a client's mistake would be stored as something else.
"""

from collections.abc import Iterable
from datetime import date, time, timedelta
from enum import Enum
from itertools import islice
from typing import Any, Final

from pydantic_core import PydanticCustomError

_TEXTS: Final = (date, time, timedelta)  # a datetime is a date
_WRONG_INTEGER: Final = PydanticCustomError("int_type", "Input should be a valid integer")
_WRONG_NUMBER: Final = PydanticCustomError("float_type", "Input should be a valid number")
_WRONG_BOOLEAN: Final = PydanticCustomError("bool_type", "Input should be a valid boolean")
_WRONG_TEXT: Final = PydanticCustomError("string_type", "Input should be a valid string")


def wrong_json_type(sent: Any, read: Any) -> PydanticCustomError | None:
    """Return the fault if `read` was converted from a value of another JSON type; else None."""
    if isinstance(read, str) or read is sent:
        return None
    if not isinstance(sent, dict | list | tuple):
        return _fault(sent, read)
    faults = (wrong_json_type(*pair) for pair in _members(sent, read))
    return next((fault for fault in faults if fault is not None), None)


def _members(sent: Any, read: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(read, dict) and isinstance(sent, dict):
        return zip(sent.values(), read.values(), strict=False)
    if isinstance(read, list | tuple):
        return zip(sent, read, strict=False)
    if isinstance(read, set | frozenset):
        # Sets have no order, so compare all values with one member: all have the same type.
        return ((each, one) for one in islice(read, 1) for each in sent)
    return ()


def _fault(sent: Any, read: Any) -> PydanticCustomError | None:
    if isinstance(read, bool):
        return None if isinstance(sent, bool) else _WRONG_BOOLEAN
    if isinstance(read, int | float) and not isinstance(read, Enum):
        wrong = isinstance(sent, str | bool)
        return (_WRONG_INTEGER if isinstance(read, int) else _WRONG_NUMBER) if wrong else None
    if isinstance(read, _TEXTS):
        return _WRONG_TEXT if isinstance(sent, int | float) else None
    return None
