"""The reader of schemas sees what is wrong, and gives no example where there is none."""

from typing import Any

import pytest

from tests.support.json_schema import Schema, SchemaReader

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
]
RIGHT: list[tuple[Schema, Any]] = [
    (NAME, "Ada"),
    (PERSON, {"name": "Ada"}),
    ({"type": "object", "additionalProperties": True}, {"any": [1]}),
    ({"type": "array", "items": NAME}, []),
    ({"anyOf": [NAME, {"type": "null"}]}, None),
    ({"type": "integer", "minimum": 1, "maximum": 9}, 9),
    ({"type": "string", "format": "email"}, "ada@example.com"),
]


@pytest.mark.parametrize(("schema", "value"), WRONG)
def test_sees_a_fault(schema: Schema, value: Any) -> None:
    assert READER.faults(schema, value)


@pytest.mark.parametrize(("schema", "value"), RIGHT)
def test_sees_no_fault_where_there_is_none(schema: Schema, value: Any) -> None:
    assert READER.faults(schema, value) == []


def test_stops_at_a_keyword_that_it_does_not_know() -> None:
    with pytest.raises(NotImplementedError, match="uniqueItems"):
        READER.faults({"type": "array", "uniqueItems": True}, [])


def test_makes_an_example_of_its_parts() -> None:
    inner = {"type": "string", "examples": ["Ada"]}
    schema = {"type": "object", "properties": {"names": {"type": "array", "items": inner}}}
    assert READER.example(schema) == {"names": ["Ada"]}


def test_makes_no_example_up() -> None:
    with pytest.raises(LookupError, match="name"):
        READER.example(PERSON)
