"""The documentation in OpenAPI says what the API really does."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response

from app.core.config import RefreshTokenTransport, Settings
from app.core.media_types import MULTIPART_TYPE
from app.main import create_app
from app.models import Base
from tests.support.api import Api
from tests.support.bodies import BodySender
from tests.support.crawl import Answer
from tests.support.databases import on_sqlite
from tests.support.json_schema import Schema, SchemaReader
from tests.support.problems import MEMBERS, faulty_fields
from tests.support.routes import FILE_BODIES, FORM_ROUTES, UPLOADS, routes_of

# Clients are generated with these names: another name breaks them. Declare a new operation here.
OPERATION_IDS = {
    "GET /health": "health",
    "GET /health/live": "health_live",
    "GET /health/ready": "health_ready",
    "GET /.well-known/jwks.json": "get_jwks",
    "POST /api/v1/auth/register": "register",
    "POST /api/v1/auth/login": "login",
    "POST /api/v1/auth/token": "create_token",
    "POST /api/v1/auth/refresh": "refresh_tokens",
    "POST /api/v1/auth/logout": "logout",
    "POST /api/v1/auth/logout-all": "logout_all",
    "POST /api/v1/auth/reauthenticate": "reauthenticate",
    "GET /api/v1/auth/sessions": "list_sessions",
    "DELETE /api/v1/auth/sessions": "end_other_sessions",
    "DELETE /api/v1/auth/sessions/{public_id}": "end_session",
    "GET /api/v1/users/me": "get_me",
    "PATCH /api/v1/users/me": "update_me",
    "DELETE /api/v1/users/me": "delete_me",
    "POST /api/v1/users/me/change-password": "change_password",
    "GET /api/v1/users": "list_users",
    "GET /api/v1/users/{public_id}": "get_user",
    "POST /api/v1/users/{public_id}/activate": "activate_user",
    "POST /api/v1/users/{public_id}/deactivate": "deactivate_user",
    "GET /api/v1/audit-events": "list_audit_events",
    "GET /api/v1/items": "list_items",
    "POST /api/v1/items": "create_item",
    "GET /api/v1/items/my": "list_my_items",
    "GET /api/v1/items/deleted": "list_deleted_items",
    "GET /api/v1/items/search": "search_items",
    "GET /api/v1/items/export": "export_items",
    "POST /api/v1/items/import": "import_items",
    "POST /api/v1/items/import/ndjson": "import_items_ndjson",
    "POST /api/v1/items/bulk": "create_items",
    "PATCH /api/v1/items/bulk": "update_items",
    "POST /api/v1/items/bulk-delete": "delete_items",
    "GET /api/v1/items/{public_id}": "get_item",
    "PATCH /api/v1/items/{public_id}": "update_item",
    "DELETE /api/v1/items/{public_id}": "delete_item",
    "POST /api/v1/items/{public_id}/restore": "restore_item",
    "GET /api/v1/tags": "list_tags",
    "POST /api/v1/tags": "create_tag",
    "GET /api/v1/tags/{public_id}": "get_tag",
    "PATCH /api/v1/tags/{public_id}": "update_tag",
    "DELETE /api/v1/tags/{public_id}": "delete_tag",
}
UNDOCUMENTED = ("/docs", "/redoc", "/openapi.json")
NUMBERS = {"integer", "number"}
# What a key may be called besides its column.
KEY = re.compile(r"(.*_)?(ids?|pks?|keys?)|.+Ids?")
JSON = "application/json"
NDJSON = "application/x-ndjson"
PROBLEM = "application/problem+json"


@pytest.fixture(scope="module", params=RefreshTokenTransport)
def openapi(request: pytest.FixtureRequest) -> Schema:
    """It needs no database."""
    return create_app(Settings(_env_file=None, REFRESH_TOKEN_TRANSPORT=request.param)).openapi()


@pytest.fixture
def served(app: FastAPI) -> Schema:
    """That of the application that is asked."""
    return app.openapi()


def operations(openapi: Schema) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_every_operation_has_its_stable_and_unique_id(openapi: Schema) -> None:
    found = {route: operation["operationId"] for route, operation in operations(openapi)}
    assert found == OPERATION_IDS
    assert len(set(found.values())) == len(found)


@on_sqlite
def test_every_route_is_documented(app: FastAPI) -> None:
    public = {route for route in routes_of(app) if not route.split(" ")[1].startswith(UNDOCUMENTED)}
    assert public == OPERATION_IDS.keys()


def test_every_operation_takes_one_media_type(openapi: Schema) -> None:
    """A generated client cannot choose: it sends the first, or has no such operation."""
    for route, operation in operations(openapi):
        assert len(operation.get("requestBody", {"content": {JSON: {}}})["content"]) == 1, route


def test_every_operation_has_a_summary_and_a_tag(openapi: Schema) -> None:
    for route, operation in operations(openapi):
        assert operation["summary"], route
        assert len(operation["tags"]) == 1, route


def test_errors_are_problems_with_an_example_each(openapi: Schema) -> None:
    reader = SchemaReader(openapi)
    for route, operation in operations(openapi):
        for status, response in operation["responses"].items():
            if status >= "4":
                assert response["content"].keys() == {PROBLEM}, (route, status)
                media = response["content"][PROBLEM]
                assert media["examples"]
                for code, example in media["examples"].items():
                    assert reader.faults(media["schema"], example["value"]) == []
                    assert (example["value"]["status"], example["value"]["code"]) == (
                        int(status),
                        code,
                    )


def test_the_framework_s_own_error_schemas_are_not_documented(openapi: Schema) -> None:
    names = openapi["components"]["schemas"].keys()
    assert not {"HTTPValidationError", "ValidationError"} & names


def test_the_documented_problem_has_the_members_of_a_real_one(openapi: Schema) -> None:
    assert openapi["components"]["schemas"]["Problem"]["properties"].keys() == MEMBERS | {"errors"}


def undocumented(openapi: Schema, answer: Answer) -> list[str]:
    """What the documentation does not say about an answer."""
    route, response, _ = answer
    operation = dict(operations(openapi))[route]
    documented = operation["responses"].get(str(response.status_code))
    if documented is None:
        return [f"{route}: {response.status_code} {response.text}"]
    kind = response.headers.get("content-type", "").partition(";")[0]
    # A file of no lines is one, too.
    if not response.content and kind != NDJSON:
        return [f"{route}: no body"] if "content" in documented else []
    media = documented["content"].get(kind, {"schema": {"enum": []}})
    shown = response.json() if kind.endswith("json") and kind != NDJSON else response.text
    faults = SchemaReader(openapi).faults(media["schema"], shown)
    return [f"{route}: {response.status_code} {fault}" for fault in faults]


@on_sqlite
async def test_what_needs_a_login_says_so(api: Api, served: Schema) -> None:
    for route, operation in operations(served):
        method, path = route.split(" ")
        response = await api.client.request(method, path, json={"refresh_token": "a"})
        # Of no login is what the body itself holds: a refresh token that nobody issued.
        is_protected = response.status_code == 401 and (
            response.json()["code"] != "invalid_refresh_token"
        )
        assert ("security" in operation) == is_protected, route


def test_every_answer_has_an_example(openapi: Schema) -> None:
    reader = SchemaReader(openapi)
    for route, operation in operations(openapi):
        for status, response in operation["responses"].items():
            if status < "4" and "content" in response:
                for media in response["content"].values():
                    example = reader.example(media["schema"], route)
                    assert reader.faults(media["schema"], example) == []


@on_sqlite
async def test_every_body_has_an_example_that_is_accepted(
    sender: BodySender, served: Schema
) -> None:
    reader = SchemaReader(served)
    bodies = {r: o["requestBody"]["content"] for r, o in operations(served) if "requestBody" in o}
    forms = {r for r, content in bodies.items() if MULTIPART_TYPE in content}
    assert forms == set(UPLOADS)
    others = forms | FORM_ROUTES
    files = {r for r, content in bodies.items() if JSON not in content} - others
    assert files == set(FILE_BODIES)
    assert bodies.keys() - files - others == set(sender.routes)

    for route in files:
        for kind, media in bodies[route].items():
            response = await sender.send(route, reader.example(media["schema"], route), kind)
            assert response.status_code == 201, (route, response.text)
    for route in FORM_ROUTES:
        [(kind, media)] = bodies[route].items()
        form = urlencode(reader.example(media["schema"], route))
        refusal = (await sender.send(route, form, kind)).json()
        assert refusal["code"] == "invalid_grant", "all of it is read, and it is nobody's password"
    for route in forms:
        schema = reader.resolve(bodies[route][MULTIPART_TYPE]["schema"])
        assert set(schema["required"]) <= UPLOADS[route].keys() <= schema["properties"].keys()
        response = await sender.send_parts(route, UPLOADS[route])
        assert response.status_code not in {400, 413, 415, 422}, (route, response.text)
        for part in schema["required"]:
            fewer = {name: file for name, file in UPLOADS[route].items() if name != part}
            refused = await sender.send_parts(route, {**fewer, "other": UPLOADS[route][part]})
            assert faulty_fields(refused) == [["body", part]], route
    for route in sender.routes:
        content = bodies[route]
        example = reader.example(content[JSON]["schema"], route)
        assert reader.faults(content[JSON]["schema"], example) == []
        response = await sender.send_json(route, example)
        assert response.status_code not in {400, 422}, (route, response.text)


def named_schemas(part: Any) -> Iterator[tuple[str, Schema]]:
    """Every property and every parameter, with its name."""
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
    """What a value, or an element of it, may be; a null says nothing."""
    inner = [*schema.get("anyOf", []), *([schema["items"]] if "items" in schema else [])]
    for part in inner:
        yield from choices(part)
    if not inner and schema.get("type") != "null":
        yield schema


def key_names() -> set[str]:
    """The columns that are keys of a table: `owner_id`, and `owner`, as a response may call it."""
    columns = [column for table in Base.metadata.sorted_tables for column in table.columns]
    keys = {column.name for column in columns if column.primary_key or column.foreign_keys}
    return keys | {name.removesuffix("_id") for name in keys}


def names_a_key(name: str) -> bool:
    return name in key_names() or KEY.fullmatch(name) is not None


def test_no_number_is_a_key(openapi: Schema) -> None:
    """AZ3."""
    numbers = {
        name
        for name, schema in named_schemas(openapi)
        if NUMBERS & {choice.get("type") for choice in choices(schema)}
    }
    assert "total" in numbers
    assert [name for name in numbers if names_a_key(name)] == []


@pytest.mark.parametrize("name", ["id", "owner_id", "owner", "item_ids", "ownerId", "pk"])
def test_a_key_is_known_by_its_name(name: str) -> None:
    assert names_a_key(name)


@pytest.mark.parametrize("name", ["quantity", "total", "width", "paid", "price"])
def test_a_quantity_is_no_key(name: str) -> None:
    assert not names_a_key(name)


def test_ids_are_uuids(openapi: Schema) -> None:
    """AZ3."""
    for name, schema in named_schemas(openapi):
        if name == "id" or (name.endswith("_id") and name != "request_id"):
            assert {choice.get("format") for choice in choices(schema)} == {"uuid"}, name


@on_sqlite
async def test_the_schema_is_served_as_it_is(client: AsyncClient, served: Schema) -> None:
    response: Response = await client.get("/openapi.json")
    assert response.json() == served
