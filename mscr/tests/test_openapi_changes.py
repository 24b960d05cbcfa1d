"""Changes of an OpenAPI document that break clients, case by case."""

from copy import deepcopy
from typing import Annotated, Any, Final

import pytest
from pydantic import TypeAdapter

from mscr.cli.openapi_changes import breaking_changes
from mscr.schemas.list_schemas import sort_field

GONE: Final = object()
ITEM: Final = ("components", "schemas", "Item")
NEW_ITEM: Final = ("components", "schemas", "NewItem")
READ: Final = ("paths", "/items", "get")
WRITE: Final = ("paths", "/items", "post")
BODY: Final = (*WRITE, "requestBody")
JSON: Final = ("content", "application/json")
LIMIT: Final = (*READ, "parameters", 0)
SORT: Final = (*READ, "parameters", 2, "schema", "pattern")
ANSWER: Final = (*READ, "responses", "200")


def sorted_by(*columns: str) -> str:
    """Return the pattern of a list that may be sorted by these columns."""
    schema = TypeAdapter(Annotated[str, sort_field(*columns)]).json_schema()
    return str(schema["pattern"])


DOCUMENT: Final[dict[str, Any]] = {
    "paths": {
        "/items": {
            "get": {
                "operationId": "list_items",
                "parameters": [
                    {
                        "in": "query",
                        "name": "limit",
                        "required": False,
                        "schema": {"type": "integer", "minimum": 1, "maximum": 100},
                    },
                    {
                        "in": "query",
                        "name": "status",
                        "required": True,
                        "schema": {"enum": ["draft", "active"]},
                    },
                    {
                        "in": "query",
                        "name": "sort",
                        "schema": {"type": "string", "pattern": sorted_by("title", "created_at")},
                    },
                ],
                "responses": {
                    "200": {
                        "description": "Items",
                        "headers": {"X-Request-ID": {"schema": {"type": "string"}}},
                        "content": {
                            "application/json": {
                                "schema": {
                                    "type": "array",
                                    "items": {"$ref": "#/components/schemas/Item"},
                                }
                            }
                        },
                    },
                    "404": {"description": "Nothing"},
                },
            },
            "post": {
                "operationId": "create_item",
                "security": [{"OAuth2": ["items:write"]}, {"Key": []}],
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/NewItem"}}
                    },
                },
                "responses": {"204": {"description": "Created"}},
            },
        }
    },
    "components": {
        "schemas": {
            "Item": {
                "type": "object",
                "properties": {
                    "id": {"type": "string", "format": "uuid"},
                    "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                    "size": {"type": "integer"},
                    "status": {"type": "string", "enum": ["draft", "active"]},
                    "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Item"}},
                },
                "required": ["id", "note"],
            },
            "NewItem": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "title": {"type": "string", "maxLength": 200, "title": "Title"},
                    "kind": {"type": ["string", "null"]},
                    "price": {"type": "number"},
                    "flag": {"const": True},
                },
                "required": ["title"],
            },
        }
    },
}


def changed(path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    document = deepcopy(DOCUMENT)
    inner: Any = document
    for step in path[:-1]:
        inner = inner[step]
    if value is GONE:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return document


TITLE: Final = (*NEW_ITEM, "properties", "title")
LIST: Final = "GET /items"
CREATE: Final = "POST /items"
FOUND: Final = f"{LIST}, 200[]"
SENT: Final = f"{CREATE}, body"

BREAKING: Final[list[tuple[tuple[str | int, ...], Any, str]]] = [
    (("paths", "/items"), GONE, f"{LIST}: removed"),
    (READ, GONE, f"{LIST}: removed"),
    ((*READ, "operationId"), "items", f"{LIST}: operation id list_items became items"),
    # Access
    ((*READ, "security"), [{"Key": []}], f"{LIST}: requires more than nothing"),
    ((*WRITE, "security"), [{"OAuth2": ["items:write"]}], f"{CREATE}: requires more than Key"),
    (
        (*WRITE, "security", 0, "OAuth2"),
        ["items:write", "admin"],
        f"{CREATE}: requires more than OAuth2 items:write",
    ),
    # Parameters
    (LIMIT, {"in": "query", "name": "size", "schema": {}}, f"{LIST}, query limit: removed"),
    ((*LIMIT, "required"), True, f"{LIST}, query limit: required now"),
    ((*LIMIT, "schema", "maximum"), 50, f"{LIST}, query limit: maximum 100 became 50"),
    ((*LIMIT, "schema", "minimum"), 2, f"{LIST}, query limit: minimum 1 became 2"),
    ((*LIMIT, "schema", "multipleOf"), 5, f"{LIST}, query limit: multipleOf none became 5"),
    (
        (*LIMIT, "schema", "type"),
        "string",
        f"{LIST}, query limit: integer is no longer accepted",
    ),
    (
        (*LIMIT, "schema", "enum"),
        [1, 2],
        f"{LIST}, query limit: only 1, 2 are accepted now",
    ),
    (
        (*READ, "parameters", 1, "schema", "enum"),
        ["draft"],
        f"{LIST}, query status: active is no longer accepted",
    ),
    (SORT, sorted_by("created_at", "size"), f"{LIST}, query sort: title is no longer accepted"),
    (SORT, "^x$", f"{LIST}, query sort: pattern {sorted_by('title', 'created_at')} became ^x$"),
    # Request bodies
    (BODY, GONE, f"{SENT}: removed"),
    ((*READ, "requestBody"), {"required": True}, f"{LIST}, body: required now"),
    (
        (*BODY, "content"),
        {"text/plain": {}},
        f"{SENT}: application/json removed",
    ),
    ((*TITLE, "maxLength"), 100, f"{SENT}.title: maxLength 200 became 100"),
    ((*TITLE, "pattern"), "^a", f"{SENT}.title: pattern none became ^a"),
    ((*TITLE, "format"), "date", f"{SENT}.title: format none became date"),
    (TITLE, GONE, f"{SENT}.title: removed"),
    ((*NEW_ITEM, "required"), ["title", "kind"], f"{SENT}.kind: required now"),
    (
        (*NEW_ITEM, "properties", "kind"),
        {"type": "string"},
        f"{SENT}.kind: null is no longer accepted",
    ),
    (
        (*NEW_ITEM, "properties", "price"),
        {"type": "integer"},
        f"{SENT}.price: number is no longer accepted",
    ),
    (
        (*NEW_ITEM, "properties", "flag"),
        {"const": False},
        f"{SENT}.flag: True is no longer accepted",
    ),
    # Responses
    ((*READ, "responses", "404"), GONE, f"{LIST}, 404: removed"),
    ((*ANSWER, "headers"), {}, f"{LIST}, 200, header X-Request-ID: removed"),
    ((*ANSWER, "content"), {}, f"{LIST}, 200: application/json removed"),
    ((*ANSWER, *JSON, "schema"), {"type": "object"}, f"{LIST}, 200: object may be returned now"),
    ((*ITEM, "properties", "size"), GONE, f"{FOUND}.size: removed"),
    ((*ITEM, "required"), ["id"], f"{FOUND}.note: may be absent now"),
    ((*ITEM, "properties", "id"), {"type": "string"}, f"{FOUND}.id: format uuid became none"),
    (
        (*ITEM, "properties", "size", "type"),
        "number",
        f"{FOUND}.size: number may be returned now",
    ),
    (
        (*ITEM, "properties", "size"),
        {"oneOf": [{"type": "integer"}, {"type": "null"}]},
        f"{FOUND}.size: null may be returned now",
    ),
    (
        (*ITEM, "properties", "parts", "items"),
        {},
        f"{FOUND}.parts[]: any value may be returned now",
    ),
]

HARMLESS: Final[list[tuple[tuple[str | int, ...], Any]]] = [
    (("paths", "/new"), {"get": {"responses": {}}}),
    ((*READ, "summary"), "Items"),
    ((*WRITE, "security", 0, "OAuth2"), []),
    ((*WRITE, "security"), GONE),
    ((*WRITE, "parameters"), [{"in": "query", "name": "dry", "schema": {"type": "boolean"}}]),
    ((*READ, "requestBody"), {"content": {}}),
    ((*BODY, "required"), False),
    ((*BODY, *JSON, "examples"), {}),
    ((*LIMIT, "schema", "maximum"), 1000),
    ((*LIMIT, "schema", "minimum"), 0),
    ((*LIMIT, "schema", "default"), 20),
    ((*LIMIT, "schema"), {"type": "number", "minimum": 1, "maximum": 100}),
    ((*LIMIT, "schema"), {}),
    (SORT, sorted_by("created_at", "size", "title")),
    (SORT, GONE),
    ((*TITLE, "title"), "A title"),
    ((*NEW_ITEM, "properties", "added"), {"type": "string"}),
    ((*NEW_ITEM, "additionalProperties"), True),
    ((*NEW_ITEM, "required"), []),
    ((*WRITE, "responses", "409"), {"description": "Conflict"}),
    ((*ITEM, "properties", "added"), {"type": "string"}),
    ((*ITEM, "properties", "note"), {"type": "string"}),
    ((*ITEM, "properties", "status", "enum"), ["draft", "active", "archived"]),
    ((*ITEM, "required"), ["id", "note", "size"]),
    ((*ANSWER, "headers", "ETag"), {"schema": {"type": "string"}}),
]


@pytest.mark.parametrize(("path", "value", "told"), BREAKING)
def test_a_breaking_change_is_reported(path: tuple[str | int, ...], value: Any, told: str) -> None:
    assert told in breaking_changes(DOCUMENT, changed(path, value))


@pytest.mark.parametrize(("path", "value"), HARMLESS)
def test_a_compatible_change_is_not_reported(path: tuple[str | int, ...], value: Any) -> None:
    assert breaking_changes(DOCUMENT, changed(path, value)) == []


def test_a_removed_field_is_reported_once() -> None:
    note, found = {"note": {"type": "string"}}, (*ANSWER, *JSON, "schema", "items")
    small = changed(found, {"type": "object", "properties": note, "required": ["note"]})
    whole = {"type": "object", "properties": {**note, "id": {}}, "required": ["note", "id"]}

    assert breaking_changes(changed(found, whole), small) == [f"{FOUND}.id: removed"]


def test_a_body_that_newly_refuses_unknown_fields_breaks_clients() -> None:
    lenient = changed((*NEW_ITEM, "additionalProperties"), True)
    assert breaking_changes(lenient, DOCUMENT) == [f"{SENT}: unknown fields are refused now"]


def test_a_newly_required_body_breaks_clients() -> None:
    optional = changed((*BODY, "required"), False)
    assert breaking_changes(optional, DOCUMENT) == [f"{SENT}: required now"]


def test_a_choice_is_compared_with_the_most_similar_one() -> None:
    a = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    b = {"type": "object", "properties": {"b": {"type": "string"}}, "required": ["b"]}
    schema = (*BODY, *JSON, "schema")
    old = changed(schema, {"anyOf": [a, b]})
    new = changed(schema, {"anyOf": [b, {**a, "required": ["a", "c"]}]})

    assert breaking_changes(old, new) == [f"{SENT}.c: required now"]
