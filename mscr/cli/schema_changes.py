"""Compare JSON schemas for changes that break clients.

A request's schema must still accept every old value. A response's schema must not allow new ones.
"""

import re
from collections.abc import Iterator
from enum import Enum as PyEnum
from typing import Any, Final

Schema = dict[str, Any]

PREFIX: Final = "#/components/schemas/"
# Keywords that describe values and restrict none.
ANNOTATIONS: Final = {"title", "description", "default", "examples", "example", "deprecated"}
LOWER_BOUNDS: Final = {
    *("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"),
}
UPPER_BOUNDS: Final = {
    *("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"),
}
COMPARED_APART: Final = {
    *("type", "const", "enum", "properties", "required", "items", "additionalProperties"),
}
# The pattern of `sort_field`. Its columns are compared, not the pattern.
SORT_PATTERN: Final = re.compile(r"\^-\?\((?P<columns>[\w|]+)\)\(,-\?\((?P=columns)\)\)\*\$")


class Direction(PyEnum):
    REQUEST = "request"
    RESPONSE = "response"


class SchemaComparison:
    """Compares schemas of two documents, each of which refers to its own components."""

    def __init__(self, old: Schema, new: Schema, direction: Direction) -> None:
        self._old = old
        self._new = new
        self._is_request = direction is Direction.REQUEST
        self._under_way: set[tuple[str, str]] = set()

    def changes(self, old: Schema, new: Schema, at: str) -> Iterator[str]:
        """Yield the changes that break clients of the old schema."""
        references = (old.get("$ref", ""), new.get("$ref", ""))
        if all(references) and references in self._under_way:
            return  # a recursive schema
        self._under_way.add(references)
        old_choices = list(_choices(old, self._old))
        new_choices = list(_choices(new, self._new))
        # Each needed choice must fit one of the given ones.
        needed, given = (
            (old_choices, new_choices) if self._is_request else (new_choices, old_choices)
        )
        for choice in needed:
            yield from self._unfit(choice, given, at)
        self._under_way.discard(references)

    def _unfit(self, choice: Schema, others: list[Schema], at: str) -> Iterator[str]:
        """Yield the faults of the choice with the nearest of the others; none if it fits one."""
        attempts = [
            list(self._pair(choice, other, at)) for other in others if _alike(choice, other)
        ]
        if not attempts:
            verb = "is no longer accepted" if self._is_request else "may be returned now"
            yield f"{at}: {_describe(choice)} {verb}"
        else:
            yield from min(attempts, key=len)

    def _pair(self, choice: Schema, other: Schema, at: str) -> Iterator[str]:
        old, new = (choice, other) if self._is_request else (other, choice)
        yield from self._values(old, new, at)
        if self._is_request:
            yield from _bounds(old, new, at)
        elif old.get("format") != new.get("format"):
            yield _became(at, "format", old, new)
        yield from self._object(old, new, at)
        if "items" in old and "items" in new:
            yield from self.changes(old["items"], new["items"], f"{at}[]")

    def _values(self, old: Schema, new: Schema, at: str) -> Iterator[str]:
        # A response may have new values: clients are documented to expect unknown ones.
        if self._is_request and (allowed := _values(new)) is not None:
            before = _values(old)
            if before is None:
                yield f"{at}: only {_listed(allowed)} accepted now"
            elif gone := [value for value in before if value not in allowed]:
                yield f"{at}: {_listed(gone)} no longer accepted"

    def _object(self, old: Schema, new: Schema, at: str) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        for name in before.keys() - after.keys():
            yield f"{at}.{name}: removed"
        required, now_required = set(old.get("required", [])), set(new.get("required", []))
        if self._is_request:
            for name in now_required - required:
                yield f"{at}.{name}: required now"
            if _is_open(old) and not _is_open(new):
                yield f"{at}: unknown fields are refused now"
        else:
            for name in (required - now_required) & after.keys():
                yield f"{at}.{name}: may be absent now"
        for name in before.keys() & after.keys():
            yield from self.changes(before[name], after[name], f"{at}.{name}")


def _choices(schema: Schema, document: Schema) -> Iterator[Schema]:
    """Yield the alternatives of a schema, each with one type at most. Follows references."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(PREFIX)
        yield from _choices(document["components"]["schemas"][name], document)
    elif choices := schema.get("anyOf") or schema.get("oneOf"):
        for choice in choices:
            yield from _choices(choice, document)
    elif isinstance(schema.get("type"), list):
        for kind in schema["type"]:
            yield {**schema, "type": kind}
    else:
        yield schema


def _alike(choice: Schema, other: Schema) -> bool:
    """Whether the two types are compatible."""
    one, another = choice.get("type"), other.get("type")
    return another is None or one == another or (one, another) == ("integer", "number")


def _values(schema: Schema) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _is_open(schema: Schema) -> bool:
    return schema.get("type") == "object" and schema.get("additionalProperties", True) is not False


def _bounds(old: Schema, new: Schema, at: str) -> Iterator[str]:
    """Yield keywords that accept fewer values than before."""
    for keyword in new.keys() - ANNOTATIONS - COMPARED_APART:
        before, now = old.get(keyword), new[keyword]
        if before == now:
            continue
        widened = before is not None and (
            (keyword in LOWER_BOUNDS and now < before) or (keyword in UPPER_BOUNDS and now > before)
        )
        columns, now_columns = _sort_columns(before), _sort_columns(now)
        if columns and now_columns:
            if gone := [name for name in columns if name not in now_columns]:
                yield f"{at}: {_listed(gone)} no longer accepted"
        elif not widened:
            yield _became(at, keyword, old, new)


def _sort_columns(value: Any) -> list[str]:
    """Return the columns of a sort pattern; empty for any other value."""
    found = SORT_PATTERN.fullmatch(value) if isinstance(value, str) else None
    return found["columns"].split("|") if found else []


def _became(at: str, keyword: str, old: Schema, new: Schema) -> str:
    return f"{at}: {keyword} {old.get(keyword, 'none')} became {new.get(keyword, 'none')}"


def _describe(schema: Schema) -> str:
    return str(schema.get("type", "any value"))


def _listed(values: list[Any]) -> str:
    return f"{', '.join(map(str, values))} {'is' if len(values) == 1 else 'are'}"
