"""The base of all input, in bodies and in queries."""

import math
from collections.abc import Iterable, Iterator
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

# JSON of more than some 250 levels cannot be serialized in a response, so it must not be stored.
MAX_NESTING: Final = 64
_CONTAINERS: Final = (dict, list, tuple, set, frozenset)
_NUL: Final = PydanticCustomError("string_nul", "Text must not contain the NUL character")
_SURROGATE: Final = PydanticCustomError(
    "string_unicode", "Text must not contain half of a surrogate pair"
)
_NOT_FINITE: Final = PydanticCustomError("finite_number", "Input should be a finite number")
_TOO_DEEP: Final = PydanticCustomError(
    "nesting_too_deep", "Input should have at most {levels} levels", {"levels": MAX_NESTING}
)

Location = tuple[str | int, ...]

# `context=` of a validation whose values are all texts: those of a query, or of a line of CSV.
TEXTS: Final = {"texts": True}


def is_text(info: ValidationInfo) -> bool:
    """Return whether all values of this input are texts, even numbers."""
    return info.context == TEXTS


class InputModel(BaseModel):
    """Refuse unknown fields, and values that could not be stored or returned.

    These are NUL and lone surrogates in texts, numbers that are not finite, and free JSON (`Any`,
    `dict`, `list`) that contains one of these anywhere, or is nested too deeply. PostgreSQL cannot
    store some of them. SQLite can, but no response can contain them: one such row would break every
    list that includes it.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _refuse_what_no_response_holds(cls, value: Any) -> Any:
        if _is_sound(value):
            return value
        faults = [
            InitErrorDetails(type=fault, loc=location, input=None)
            for location, fault in _faults(value, ())
        ]
        # Not the custom error alone: it would locate the field, but not the place within it.
        raise ValidationError.from_exception_data(cls.__name__, faults, hide_input=True)


def check_sound(value: Any) -> None:
    """Raise `PydanticCustomError` for a value that no response can contain; see `InputModel`."""
    if not _is_sound(value):
        raise next(_faults(value, ()))[1]


def _is_sound(value: Any) -> bool:
    """Return whether there are no `_faults`. Level by level: a megabyte may have 500,000 values."""
    if isinstance(value, str | float):
        return _is_storable(value)
    level = [value]
    for _ in range(MAX_NESTING + 1):
        below: list[Any] = []
        for each in level:
            if isinstance(each, _CONTAINERS):
                below += _members(each)
            elif isinstance(each, str | float) and not _is_storable(each):
                return False
        if not below:
            return True
        level = below
    return False


def _members(container: Any) -> Iterable[Any]:
    return (*container, *container.values()) if isinstance(container, dict) else container


def _is_storable(value: str | float) -> bool:
    if isinstance(value, str):
        return "\0" not in value and _is_utf_8(value)
    return math.isfinite(value)


def _faults(value: Any, location: Location) -> Iterator[tuple[Location, PydanticCustomError]]:
    if isinstance(value, str):
        if "\0" in value:
            yield location, _NUL
        elif not _is_utf_8(value):
            yield location, _SURROGATE
    elif isinstance(value, float) and not math.isfinite(value):
        yield location, _NOT_FINITE
    elif isinstance(value, _CONTAINERS):
        if len(location) >= MAX_NESTING:
            yield location[:1], _TOO_DEEP
        else:
            yield from _faults_within(value, location)


def _faults_within(
    container: Any, location: Location
) -> Iterator[tuple[Location, PydanticCustomError]]:
    if isinstance(container, dict):
        for key, value in container.items():
            place = (*location, key if isinstance(key, int) else str(key))
            yield from _faults(key, place)
            yield from _faults(value, place)
    else:
        for number, value in enumerate(container):
            yield from _faults(value, (*location, number))


def _is_utf_8(text: str) -> bool:
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False
