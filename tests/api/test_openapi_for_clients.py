"""Whoever generates a client from OpenAPI gets names, types, examples and errors to work with."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from app.core.config import RefreshTokenTransport, Settings
from app.core.middleware import SECURITY_HEADERS
from app.core.openapi_schemas import PREFIX
from app.main import create_app
from tests.api.test_openapi import operations
from tests.support.api import Api
from tests.support.crawl import Answer
from tests.support.databases import on_sqlite
from tests.support.json_schema import Schema, SchemaReader
from tests.support.routes import FORM_ROUTES

READABLE = re.compile(r"[A-Z][A-Za-z0-9]*")
# Of HTTP itself, or about caching and browsers: no generated client reads them.
USUAL_HEADERS = {name.decode() for name in SECURITY_HEADERS} | {
    *("content-type", "content-length", "pragma", "set-cookie"),
}
# Errors name values only if some of the request's are at fault.
SOMETIMES = {"Problem": {"errors"}, "OAuth2Problem": {"errors"}}


@pytest.fixture(scope="module", params=RefreshTokenTransport)
def openapi(request: pytest.FixtureRequest) -> Schema:
    return create_app(Settings(_env_file=None, REFRESH_TOKEN_TRANSPORT=request.param)).openapi()


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        yield from [part["$ref"]] if "$ref" in part else []
        for inner in part.values():
            yield from references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from references(inner)


def answered_with(openapi: Schema) -> set[str]:
    """The names of the schemas that responses are made of."""
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


def test_every_tag_is_described_and_in_use(openapi: Schema) -> None:
    used = {tag for _, operation in operations(openapi) for tag in operation["tags"]}
    assert {tag["name"] for tag in openapi["tags"] if tag["description"]} == used


def test_every_schema_is_in_use_by_a_name_that_reads_well(openapi: Schema) -> None:
    schemas = openapi["components"]["schemas"]
    assert [name for name in schemas if not READABLE.fullmatch(name)] == []
    assert schemas.keys() == {r.removeprefix(PREFIX) for r in references(openapi) if PREFIX in r}
    assert {"ItemEnvelope", "ItemPage", "SessionListEnvelope"} <= schemas.keys()


def test_bodies_have_named_types(openapi: Schema) -> None:
    for route, operation in operations(openapi):
        for body in (operation.get("requestBody", {}), *operation["responses"].values()):
            for media in body.get("content", {}).values():
                assert media["schema"].keys() == {"$ref"}, route


def test_what_is_always_answered_is_required(openapi: Schema) -> None:
    for name in answered_with(openapi):
        schema = openapi["components"]["schemas"][name]
        optional = schema.get("properties", {}).keys() - set(schema.get("required", []))
        assert optional == SOMETIMES.get(name, set()), name


def test_parameters_have_an_example_and_are_never_null(openapi: Schema) -> None:
    reader = SchemaReader(openapi)
    for route, operation in operations(openapi):
        for parameter in operation.get("parameters", []):
            assert reader.example(parameter["schema"], route) is not None
            assert reader.faults(parameter["schema"], None) != []


def test_every_operation_has_the_errors_of_what_it_asks_for(openapi: Schema) -> None:
    for route, operation in operations(openapi):
        expected = set()
        if "security" in operation:
            expected |= {"401", "429", "503"}
        if any(scopes for way in operation.get("security", ()) for scopes in way.values()):
            expected |= {"403"}
        if "requestBody" in operation:
            expected |= {"400", "413", "415"} | (set() if route in FORM_ROUTES else {"422"})
        if "parameters" in operation:
            expected |= {"422"}
        if "{public_id}" in route:
            expected |= {"404"}
        assert expected - operation["responses"].keys() == set(), route


def header_faults(openapi: Schema, answer: Answer) -> list[str]:
    """What the documentation does not say about the headers of an answer."""
    route, response, _ = answer
    documented = dict(operations(openapi))[route]["responses"][str(response.status_code)]["headers"]
    headers = {
        name.lower(): openapi["components"]["headers"][facts["$ref"].rpartition("/")[2]]
        if "$ref" in facts
        else facts
        for name, facts in documented.items()
    }
    sent = {name: value for name, value in response.headers.items() if name not in USUAL_HEADERS}
    faults = [f"{name} is not documented" for name in sent.keys() - headers.keys()]
    for name, facts in headers.items():
        if facts.get("required") and name not in sent:
            faults.append(f"{name} is missing")
        elif name in sent and facts["schema"]["type"] == "string":
            faults += SchemaReader(openapi).faults(facts["schema"], sent[name])
    return [f"{route}, {response.status_code}: {fault}" for fault in faults]


@on_sqlite
@pytest.mark.settings(RATE_LIMIT_ENABLED=True, API_RATE_LIMIT="2/minute")
async def test_the_headers_of_a_refusal_for_haste_are_as_documented(api: Api) -> None:
    openapi = create_app(Settings(_env_file=None)).openapi()
    account = await api.register()
    answers = [Answer("GET /api/v1/users/me", await api.me(account.access_token)) for _ in range(3)]

    assert [answer.response.status_code for answer in answers] == [200, 200, 429]
    assert [fault for answer in answers for fault in header_faults(openapi, answer)] == []
