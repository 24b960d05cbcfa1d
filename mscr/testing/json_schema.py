"""Validation of values against the schemas of OpenAPI, and examples made from the schemas.

Only the keywords that our schemas use are supported; any other one raises NotImplementedError.
"""

import math
import re
from collections.abc import Callable, Iterator
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any
from uuid import UUID

from email_validator import validate_email

if TYPE_CHECKING:
    from pydantic import BaseModel

Schema = dict[str, Any]

TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}
DURATION = re.compile(r"[+-]?P(?=.)(\d+[YMWD])*(T(?=.)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?")


def _duration(text: str) -> None:
    if not DURATION.fullmatch(text):
        raise ValueError(text)


FORMATS: dict[str, Callable[[str], object]] = {
    "uuid": UUID,
    "date-time": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "duration": _duration,
    "email": lambda text: validate_email(text, check_deliverability=False),
    "password": str,
    "binary": str,
}
# Documentation tools generate these themselves.
EXAMPLES: dict[str | None, Any] = {
    "uuid": "01890a5d-ac96-774b-bcce-b302099a8057",
    "date-time": "2026-01-31T12:00:00Z",
    "date": "2026-01-31",
    "time": "12:00:00",
    "duration": "PT1H30M",
    "binary": "bytes",
    "boolean": True,
    "null": None,
}
# The last three only describe a value: JSON Schema does not validate them.
ANNOTATIONS = {
    *("title", "description", "default", "examples"),
    *("contentMediaType", "contentEncoding", "discriminator"),
}
NULL = {"type": "null"}
KEYWORDS = {
    *("anyOf", "oneOf", "const", "enum", "type", "format", "items", "prefixItems"),
    *("properties", "required", "additionalProperties", "propertyNames"),
    *("minLength", "maxLength", "pattern", "minItems", "maxItems", "uniqueItems"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
}


def required_examples(model: "type[BaseModel]") -> dict[str, Any]:
    """Return an example for each field that the schema requires, by its name in JSON.

    Raises `LookupError` for a field without one, and names the field.
    """
    document = model.model_json_schema(ref_template="#/components/schemas/{model}")
    reader = SchemaReader({"components": {"schemas": document.get("$defs", {})}})
    fields, required = document.get("properties", {}), document.get("required", ())
    return {name: reader.example(fields[name], f"{model.__name__}.{name}") for name in required}


class SchemaReader:
    """Reads schemas that refer to the components of this OpenAPI document."""

    def __init__(self, openapi: Schema) -> None:
        self._components = openapi["components"]["schemas"]
        # The schemas around the one of an example: one that contains itself has an end.
        self._around: list[str] = []

    def faults(self, schema: Schema, value: Any, at: str = "$") -> list[str]:
        """Return what is wrong with the value. Undocumented properties are faults, too."""
        schema = self.resolve(schema)
        if not schema.keys() - ANNOTATIONS:
            return []  # free JSON: anything is valid
        if unknown := schema.keys() - KEYWORDS - ANNOTATIONS:
            raise NotImplementedError(f"{at}: {sorted(unknown)}")
        if choices := choices_of(schema):
            fits = [choice for choice in choices if not self.faults(choice, value, at)]
            return [] if fits else [f"{at}: {value!r} fits no choice"]
        if not _has_type(schema, value):
            return [f"{at}: {value!r} is not of type {schema['type']}"]
        return [*_scalar_faults(schema, value, at), *self._inner_faults(schema, value, at)]

    def example(self, schema: Schema, at: str = "$") -> Any:
        """Return a value as the documentation shows it; raise `LookupError` if it has none."""
        self._around.append(schema.get("$ref", ""))
        try:
            return self._example(self.resolve(schema), at)
        finally:
            self._around.pop()

    def is_around(self, schema: Schema) -> bool:
        """Return whether an example of this schema is being made."""
        return schema.get("$ref", "") in filter(None, self._around)

    def _example(self, schema: Schema, at: str) -> Any:
        if NULL in choices_of(schema):
            schema = {"default": None, **schema}
        ready = [schema[k] for k in ("const", "default") if k in schema]
        lists = [schema[k][0] for k in ("examples", "enum") if k in schema]
        kinds = (_format(schema), schema.get("type"))
        made_up = [EXAMPLES[kind] for kind in kinds if kind in EXAMPLES]
        for example in (*lists, *ready, *made_up):
            return example
        return self._inner_example(schema, at)

    def resolve(self, schema: Schema) -> Schema:
        """Return the schema that a reference points to, or the schema itself."""
        name = schema.get("$ref", "").removeprefix("#/components/schemas/")
        beside = {keyword: value for keyword, value in schema.items() if keyword != "$ref"}
        return {**self._components[name], **beside} if name else schema

    def _inner_faults(self, schema: Schema, value: Any, at: str) -> Iterator[str]:
        if isinstance(value, list):
            yield from self._list_faults(schema, value, at)
        if isinstance(value, dict):
            yield from self._object_faults(schema, value, at)

    def _list_faults(self, schema: Schema, value: list[Any], at: str) -> Iterator[str]:
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            yield f"{at}: {len(value)} items are too few or too many"
        if schema.get("uniqueItems") and any(item in value[:n] for n, item in enumerate(value)):
            yield f"{at}: has an item twice"
        first = schema.get("prefixItems", [])
        for index, item in enumerate(value):
            inner = first[index] if index < len(first) else schema.get("items", {})
            yield from self.faults(inner, item, f"{at}[{index}]")

    def _object_faults(self, schema: Schema, value: dict[str, Any], at: str) -> Iterator[str]:
        properties = schema.get("properties", {})
        others = schema.get("additionalProperties", False)
        for name in sorted(set(schema.get("required", [])) - value.keys()):
            yield f"{at}: {name} is missing"
        for name, inner in value.items():
            yield from self.faults(schema.get("propertyNames", {}), name, f"{at}, key {name}")
            if name in properties:
                yield from self.faults(properties[name], inner, f"{at}.{name}")
            elif isinstance(others, dict):
                yield from self.faults(others, inner, f"{at}.{name}")
            elif not others:
                yield f"{at}: {name} is not documented"

    def _inner_example(self, schema: Schema, at: str) -> Any:
        if schema.get("type") == "object":
            properties = schema.get("properties", {})
            return {name: self.example(s, f"{at}.{name}") for name, s in properties.items()}
        if "prefixItems" in schema:
            return [self.example(each, f"{at}[]") for each in schema["prefixItems"]]
        if schema.get("type") == "array":
            items = schema["items"]
            return [] if self.is_around(items) else [self.example(items, f"{at}[]")]
        if choices := choices_of(schema):
            return self.example(choices[0], at)
        raise LookupError(f"{at} has no example: give it Field(examples=[...])")


def choices_of(schema: Schema) -> list[Schema]:
    """Return the members of a union. With a discriminator, a value can fit only one of them."""
    return [*schema.get("anyOf", ()), *schema.get("oneOf", ())]


def _format(schema: Schema) -> str | None:
    """Return the format. FastAPI documents bytes by a media type only, so that is `binary`."""
    return "binary" if "contentMediaType" in schema else schema.get("format")


def _has_type(schema: Schema, value: Any) -> bool:
    if "type" not in schema:
        return True
    is_boolean = isinstance(value, bool)
    return isinstance(value, TYPES[schema["type"]]) and is_boolean == (schema["type"] == "boolean")


def _scalar_faults(schema: Schema, value: Any, at: str) -> Iterator[str]:
    if "const" in schema and value != schema["const"]:
        yield f"{at}: {value!r} is not {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at}: {value!r} is not one of {schema['enum']}"
    if isinstance(value, str):
        yield from _text_faults(schema, value, at)
    if isinstance(value, int | float):
        yield from _number_faults(schema, value, at)


def _number_faults(schema: Schema, value: float, at: str) -> Iterator[str]:
    if value < schema.get("minimum", value) or value <= schema.get("exclusiveMinimum", -math.inf):
        yield f"{at}: {value} is too small"
    if value > schema.get("maximum", value) or value >= schema.get("exclusiveMaximum", math.inf):
        yield f"{at}: {value} is too large"


def _text_faults(schema: Schema, value: str, at: str) -> Iterator[str]:
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        yield f"{at}: {value!r} is too short or too long"
    if not re.search(schema.get("pattern", ""), value):
        yield f"{at}: {value!r} does not match {schema['pattern']}"
    if "format" in schema:
        if schema["format"] not in FORMATS:
            raise NotImplementedError(f"{at}: format {schema['format']}")
        try:
            FORMATS[schema["format"]](value)
        except ValueError:
            yield f"{at}: {value!r} is no {schema['format']}"
