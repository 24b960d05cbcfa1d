"""Checks that OpenAPI suits client generators: names, types, examples and errors."""

import re
from collections.abc import Iterator
from typing import Any, Final

from mscr.http.media_types import FORM_TYPE
from mscr.http.openapi_schemas import PREFIX
from mscr.testing.json_schema import Schema, SchemaReader
from mscr.testing.openapi import operations

READABLE: Final = re.compile(r"[A-Z][A-Za-z0-9]*")
# Problems have `errors` only if values in the request are at fault.
SOMETIMES: Final = {"Problem": {"errors"}, "OAuth2Problem": {"errors"}}


class ClientDocumentChecks:
    """Generators make readable and complete clients from OpenAPI."""

    def test_every_tag_is_described_and_in_use(self, openapi: Schema) -> None:
        used = {tag for _, operation in operations(openapi) for tag in operation["tags"]}
        assert {tag["name"] for tag in openapi["tags"] if tag["description"]} == used

    def test_every_schema_is_in_use_and_has_a_readable_name(self, openapi: Schema) -> None:
        schemas = openapi["components"]["schemas"]
        assert [name for name in schemas if not READABLE.fullmatch(name)] == []
        assert schemas.keys() == {
            r.removeprefix(PREFIX) for r in references(openapi) if PREFIX in r
        }

    def test_bodies_have_named_types(self, openapi: Schema) -> None:
        for route, operation in operations(openapi):
            for body in (operation.get("requestBody", {}), *operation["responses"].values()):
                for media in body.get("content", {}).values():
                    assert media["schema"].keys() == {"$ref"}, route

    def test_fields_that_are_always_present_are_required(self, openapi: Schema) -> None:
        for name in answered_with(openapi):
            schema = openapi["components"]["schemas"][name]
            optional = schema.get("properties", {}).keys() - set(schema.get("required", []))
            assert optional == SOMETIMES.get(name, set()), name

    def test_parameters_have_an_example_and_are_never_null(self, openapi: Schema) -> None:
        reader = SchemaReader(openapi)
        for route, operation in operations(openapi):
            for parameter in operation.get("parameters", []):
                example = reader.example(parameter["schema"], f"{route} {parameter['name']}")
                assert example is not None
                assert reader.faults(parameter["schema"], None) != []

    def test_every_operation_has_the_errors_that_its_inputs_can_cause(
        self, openapi: Schema
    ) -> None:
        for route, operation in operations(openapi):
            expected = set()
            if "security" in operation:
                expected |= {"401", "429", "503"}
            if any(scopes for way in operation.get("security", ()) for scopes in way.values()):
                expected |= {"403"}
            if "requestBody" in operation:
                expected |= {"400", "413", "415"} | (
                    set() if FORM_TYPE in operation["requestBody"]["content"] else {"422"}
                )
            if "parameters" in operation:
                expected |= {"422"}
            if "{" in route:
                expected |= {"404"}
            assert expected - operation["responses"].keys() == set(), route


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        yield from [part["$ref"]] if "$ref" in part else []
        for inner in part.values():
            yield from references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from references(inner)


def answered_with(openapi: Schema) -> set[str]:
    """Return the names of all schemas that responses refer to."""
    schemas = openapi["components"]["schemas"]
    found: set[str] = set()
    left = [
        ref for _, operation in operations(openapi) for ref in references(operation["responses"])
    ]
    while left:
        name = left.pop().removeprefix(PREFIX)
        if name in schemas and name not in found:
            found.add(name)
            left += references(schemas[name])
    return found
