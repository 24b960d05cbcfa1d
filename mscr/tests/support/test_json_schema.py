"""The reader of schemas reports every fault, and makes no example without a source."""

from typing import Any

import pytest

from mscr.testing.json_schema import Schema, SchemaReader

READER = SchemaReader({"components": {"schemas": {"Name": {"type": "string", "minLength": 2}}}})
NAME = {"$ref": "#/components/schemas/Name"}
PERSON: Schema = {"type": "object", "properties": {"name": NAME}, "required": ["name"]}

WRONG: list[tuple[Schema, Any]] = [
    (NAME, "a"),
    (NAME, 5),
    (PERSON, {}),
    (PERSON, {"name": "Ada", "id": 1}),
    (PERSON, {"name": None}),
    (PERSON, []),
    ({"type": "array", "items": NAME}, ["Ada", "b"]),
    ({"anyOf": [NAME, {"type": "null"}]}, "a"),
    ({"type": "integer"}, True),
    ({"type": "boolean"}, 1),
    ({"type": "integer", "minimum": 1, "maximum": 9}, 0),
    ({"type": "integer", "minimum": 1, "maximum": 9}, 10),
    ({"type": "string", "maxLength": 1}, "ab"),
    ({"type": "string", "enum": ["a"]}, "b"),
    ({"type": "boolean", "const": True}, False),
    ({"type": "string", "format": "uuid"}, "1"),
    ({"type": "string", "format": "date-time"}, "yesterday"),
    ({"type": "string", "format": "email"}, "ada"),
    ({"type": "string", "format": "date"}, "2026-02-30"),
    ({"type": "string", "format": "time"}, "25:00"),
    ({"type": "string", "format": "duration"}, "P"),
    ({"type": "string", "format": "duration"}, "an hour"),
    ({"type": "string", "pattern": "^a+$"}, "ab"),
    ({"type": "number"}, "1.5"),
    ({"type": "number"}, True),
    ({"type": "integer"}, 1.5),
    ({"type": "number", "minimum": 0.5}, 0.4),
    ({"type": "number", "exclusiveMinimum": 0}, 0),
    ({"type": "number", "exclusiveMaximum": 1}, 1),
    ({"type": "object", "additionalProperties": {"type": "integer"}}, {"a": "1"}),
    ({"type": "object", "additionalProperties": False}, {"a": 1}),
    ({"type": "object", "additionalProperties": True, "propertyNames": NAME}, {"a": 1}),
    ({"type": "array", "items": NAME, "uniqueItems": True}, ["Ada", "Bob", "Ada"]),
    ({"type": "array", "prefixItems": [{"type": "integer"}, NAME]}, [1, "a"]),
    ({"type": "array", "items": NAME, "minItems": 1}, []),
    ({"enum": ["a"]}, "b"),
    ({"type": "string", "contentMediaType": "image/png"}, 1),
]
RIGHT: list[tuple[Schema, Any]] = [
    (NAME, "Ada"),
    (PERSON, {"name": "Ada"}),
    ({"type": "object", "additionalProperties": True}, {"any": [1]}),
    ({"type": "array", "items": NAME}, []),
    ({"anyOf": [NAME, {"type": "null"}]}, None),
    ({"type": "integer", "minimum": 1, "maximum": 9}, 9),
    ({"type": "string", "format": "email"}, "ada@example.com"),
    ({"type": "string", "format": "date"}, "2026-01-31"),
    ({"type": "string", "format": "time"}, "12:30:00"),
    ({"type": "string", "format": "duration"}, "P1DT1.5S"),
    ({"type": "string", "pattern": "^a+$"}, "aa"),
    ({"type": "number", "minimum": 0, "maximum": 1}, 0.5),
    ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 2}, 1),
    ({"type": "boolean"}, False),
    ({"type": "object", "additionalProperties": {"type": "integer"}}, {"a": 1}),
    ({"type": "object", "additionalProperties": {}}, {"a": [{"b": None}]}),
    ({"type": "object", "additionalProperties": True, "propertyNames": NAME}, {"Ada": 1}),
    ({"type": "array", "items": NAME, "uniqueItems": True}, ["Ada", "Bob"]),
    ({"type": "array", "prefixItems": [{"type": "integer"}, NAME], "maxItems": 2}, [1, "Ada"]),
    ({"type": "string", "contentMediaType": "image/png"}, "bytes"),
    ({"enum": ["a"]}, "a"),
]


@pytest.mark.parametrize(("schema", "value"), WRONG)
def test_an_invalid_value_is_a_fault(schema: Schema, value: Any) -> None:
    assert READER.faults(schema, value)


@pytest.mark.parametrize(("schema", "value"), RIGHT)
def test_a_valid_value_is_no_fault(schema: Schema, value: Any) -> None:
    assert READER.faults(schema, value) == []


def test_an_unknown_keyword_raises() -> None:
    with pytest.raises(NotImplementedError, match="contains"):
        READER.faults({"type": "array", "contains": {}}, [])


def test_an_unknown_format_raises() -> None:
    with pytest.raises(NotImplementedError, match="ipv4"):
        READER.faults({"type": "string", "format": "ipv4"}, "127.0.0.1")


@pytest.mark.parametrize("name", ["uuid", "date-time", "date", "time", "duration"])
def test_a_generated_example_has_its_format(name: str) -> None:
    schema = {"type": "string", "format": name}
    assert READER.faults(schema, READER.example(schema)) == []


def test_an_example_consists_of_the_examples_of_its_parts() -> None:
    inner = {"type": "string", "examples": ["Ada"]}
    schema = {"type": "object", "properties": {"names": {"type": "array", "items": inner}}}
    assert READER.example(schema) == {"names": ["Ada"]}


def test_an_example_has_each_place_of_a_list_and_the_first_choice() -> None:
    pair = {"type": "array", "prefixItems": [{"type": "boolean"}, {"const": "a"}]}

    assert READER.example({"anyOf": [pair, NAME]}) == [True, "a"]


def test_a_schema_without_an_example_raises() -> None:
    with pytest.raises(LookupError, match="name"):
        READER.example(PERSON)
