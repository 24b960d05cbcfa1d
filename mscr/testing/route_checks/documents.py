"""Checks that OpenAPI matches what the API does."""

import re
from collections.abc import Collection, Iterator
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from sqlalchemy import MetaData

from mscr.http.dialect import Dialect
from mscr.http.media_types import FORM_TYPE, JSON_TYPE, MULTIPART_TYPE
from mscr.http.problems import PROBLEM_MEDIA_TYPE
from mscr.project import Project
from mscr.testing.api import Api
from mscr.testing.bodies import BodySender
from mscr.testing.databases import on_sqlite
from mscr.testing.json_schema import Schema, SchemaReader, choices_of
from mscr.testing.objects import REMEDY
from mscr.testing.openapi import operations
from mscr.testing.problems import MEMBERS, TOKEN_PATH, faulty_fields, shown_problem
from mscr.testing.routes import routes_of

UNDOCUMENTED: Final = ("/docs", "/redoc", "/openapi.json")
NUMBERS: Final = {"integer", "number"}
READ: Final = {"invalid_grant", "invalid_link"}
# Names of keys, other than those of their columns.
# Ids of logs, which callers may choose.
IDS_IN_LOGS: Final = {"request_id", "trace_id"}
KEY: Final = re.compile(r"(.*_)?(ids?|pks?|keys?)|.+Ids?")


class DocumentChecks:
    """OpenAPI has every route, with bodies, responses and errors as they are."""

    @on_sqlite
    def test_every_route_is_documented(self, app: FastAPI) -> None:
        undocumented = [name for name, route in routes_of(app).items() if not route.operation]
        assert [name for name in undocumented if not name.split()[1].startswith(UNDOCUMENTED)] == []

    def test_every_operation_has_an_id_of_its_own(self, openapi: Schema) -> None:
        ids = [operation["operationId"] for _, operation in operations(openapi)]
        assert len(set(ids)) == len(ids)

    def test_every_operation_takes_one_media_type(self, openapi: Schema) -> None:
        """Generated clients cannot choose: they send the first, or lack the operation."""
        for route, operation in operations(openapi):
            assert (
                len(operation.get("requestBody", {"content": {JSON_TYPE: {}}})["content"]) == 1
            ), route

    def test_every_operation_has_a_summary_and_a_tag(self, openapi: Schema) -> None:
        for route, operation in operations(openapi):
            assert operation["summary"], route
            assert len(operation["tags"]) == 1, route

    def test_errors_have_the_shape_of_their_path_with_an_example_each(
        self, openapi: Schema, tested_project: Project
    ) -> None:
        """Problems, unless the dialect of the application has another shape."""
        reader, dialect = SchemaReader(openapi), tested_project.dialect()
        for route, operation in operations(openapi):
            path = route.split()[1]
            shape = None if path == TOKEN_PATH else dialect.shape_of(path)
            kind = PROBLEM_MEDIA_TYPE if shape is None else shape.media_type
            for status, response in operation["responses"].items():
                if status >= "4":
                    assert response["content"].keys() == {kind}, (route, status)
                    media = response["content"][kind]
                    assert media["examples"]
                    for code, example in media["examples"].items():
                        value = example["value"]
                        assert reader.faults(media["schema"], value) == []
                        if shape is None:
                            assert (value["status"], value["code"]) == (int(status), code)

    @on_sqlite
    def test_the_server_and_the_application_have_the_same_dialect(
        self, app: FastAPI, tested_project: Project
    ) -> None:
        """The server itself refuses what is no valid HTTP request."""
        assert app.state.dialect == tested_project.dialect()

    def test_the_framework_s_own_error_schemas_are_not_documented(self, openapi: Schema) -> None:
        names = openapi["components"]["schemas"].keys()
        assert not {"HTTPValidationError", "ValidationError"} & names

    def test_the_documented_problem_has_the_members_of_a_real_one(self, openapi: Schema) -> None:
        schemas = openapi["components"]["schemas"]
        # The token endpoint has a schema of its own.
        others = [value for path, value in openapi["paths"].items() if path != TOKEN_PATH]
        # An application whose every path has another shape has no problems.
        if "Problem" in schemas or PROBLEM_MEDIA_TYPE in str(others):
            assert schemas["Problem"]["properties"].keys() == MEMBERS | {"errors"}

    @on_sqlite
    async def test_protected_operations_declare_their_security(
        self, api: Api, served: Schema
    ) -> None:
        for route, operation in operations(served):
            method, path = route.split(" ")
            response = await api.client.request(method, path, json={"refresh_token": "a"})
            # A refused refresh token comes from the body: that route needs no access token.
            is_protected = response.status_code == 401 and (
                shown_problem(response)["code"] != "invalid_refresh_token"
            )
            # An empty requirement among them: the token is optional.
            assert ({} not in operation.get("security", [{}])) == is_protected, route

    def test_every_response_has_an_example(self, openapi: Schema) -> None:
        reader = SchemaReader(openapi)
        for route, operation in operations(openapi):
            for status, response in operation["responses"].items():
                if status < "4" and "content" in response:
                    for media in response["content"].values():
                        example = reader.example(media["schema"], route)
                        assert reader.faults(media["schema"], example) == []

    @on_sqlite
    async def test_every_body_has_an_example_that_is_accepted(
        self, sender: BodySender, served: Schema
    ) -> None:
        reader = SchemaReader(served)
        bodies = {
            r: o["requestBody"]["content"] for r, o in operations(served) if "requestBody" in o
        }
        assert bodies.keys() == sender.bodies.keys()

        for route, content in bodies.items():
            [(kind, media)] = content.items()
            example = reader.example(media["schema"], route)
            if kind == MULTIPART_TYPE:
                response = await sender.send_parts(route, sender.bodies[route].value)
            elif kind == FORM_TYPE:
                response = await sender.send(route, urlencode(example), kind)
            elif kind == JSON_TYPE:
                assert reader.faults(media["schema"], example) == []
                response = await sender.send_json(route, await sender.accepted(route, example))
            else:
                response = await sender.send(route, sender.bodies[route].value, kind)
            refused = f"{route}: {response.text}; {REMEDY}"
            assert response.status_code not in {413, 415, 422}, refused
            # The body is read in full before its password or its token is refused.
            is_read = response.status_code != 400 or shown_problem(response)["code"] in READ
            assert is_read, refused

    @on_sqlite
    async def test_a_form_without_a_required_part_is_refused(
        self, sender: BodySender, served: Schema
    ) -> None:
        reader = SchemaReader(served)
        for route, body in sender.bodies.items():
            if body.media_type == MULTIPART_TYPE:
                for part in reader.resolve(body.schema)["required"]:
                    fewer = {name: each for name, each in body.value.items() if name != part}
                    refused = await sender.send_parts(route, {**fewer, "other": body.value[part]})
                    # A form declared as an `InputModel` also refuses the unknown part.
                    assert ["body", part] in faulty_fields(refused), route

    def test_no_number_is_a_key(self, openapi: Schema, tested_project: Project) -> None:
        """AZ3: except the `integer_ids` of the dialect."""
        numbers = {
            name
            for name, schema in named_schemas(openapi)
            if NUMBERS & {choice.get("type") for choice in choices(schema)}
        }
        keys = key_names(tested_project.metadata())
        shown = names_of_integer_ids(tested_project.dialect())
        assert [name for name in numbers - shown if names_a_key(name, keys)] == []

    def test_ids_are_uuids(self, openapi: Schema, tested_project: Project) -> None:
        """AZ3: except the `integer_ids` of the dialect."""
        shown = names_of_integer_ids(tested_project.dialect())
        for name, schema in named_schemas(openapi):
            if name == "id" or (name.endswith("_id") and name not in IDS_IN_LOGS):
                kinds = list(choices(schema))
                if name not in shown or {each["type"] for each in kinds} != {"integer"}:
                    formats = {each.get("format") for each in kinds}
                    assert formats == {"uuid"}, f"{name} is not a UUID: declare it as UUID"

    @on_sqlite
    async def test_the_document_is_served_unchanged(
        self, client: AsyncClient, served: Schema
    ) -> None:
        response: Response = await client.get("/openapi.json")
        assert response.json() == served


def names_of_integer_ids(dialect: Dialect) -> set[str]:
    """Return the names that the integer keys of a contract may have: `id`, and `comment_id`."""
    tables = dialect.integer_ids
    return {"id"} | {f"{table.removesuffix('s')}_id" for table in tables} if tables else set()


def named_schemas(part: Any) -> Iterator[tuple[str, Schema]]:
    """Yield every property and every parameter with its name."""
    if isinstance(part, dict):
        if {"in", "name", "schema"} <= part.keys():
            yield part["name"], part["schema"]
        properties = part.get("properties")
        yield from properties.items() if isinstance(properties, dict) else ()
        for inner in part.values():
            yield from named_schemas(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from named_schemas(inner)


def choices(schema: Schema) -> Iterator[Schema]:
    """Yield the possible schemas of a value or of its elements, except null."""
    inner = [*choices_of(schema), *([schema["items"]] if "items" in schema else [])]
    for part in inner:
        yield from choices(part)
    if not inner and schema.get("type") != "null":
        yield schema


def key_names(metadata: MetaData) -> set[str]:
    """Return the names of key columns, `owner_id`, and what responses may call them, `owner`."""
    columns = [column for table in metadata.sorted_tables for column in table.columns]
    keys = {column.name for column in columns if column.primary_key or column.foreign_keys}
    return keys | {name.removesuffix("_id") for name in keys}


def names_a_key(name: str, keys: Collection[str]) -> bool:
    return name in keys or KEY.fullmatch(name) is not None
