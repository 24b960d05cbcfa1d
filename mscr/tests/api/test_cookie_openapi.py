"""OpenAPI documents how refresh tokens travel: in bodies or in the cookie."""

from typing import Any

import pytest
from fastapi import FastAPI

from examples.catalogue.core.config import Settings
from examples.catalogue.main import create_app
from examples.catalogue.tests.api import Api
from mscr.core.settings_fields import RefreshTokenTransport
from mscr.testing.cookies import NAME
from mscr.testing.crawl import Answer
from mscr.testing.databases import on_sqlite
from mscr.testing.json_schema import Schema
from mscr.testing.openapi import operations, undocumented
from mscr.testing.route_checks.documents import named_schemas

REFRESH, LOGOUT = "POST /api/v1/auth/refresh", "POST /api/v1/auth/logout"
HANDOVERS = {
    "POST /api/v1/auth/register",
    "POST /api/v1/auth/login",
    "POST /api/v1/auth/token",
    REFRESH,
    "POST /api/v1/users/me/change-password",
}


def documented(transport: RefreshTokenTransport) -> Schema:
    return create_app(Settings.from_env_file(None, REFRESH_TOKEN_TRANSPORT=transport)).openapi()


@pytest.fixture(scope="module")
def by_body() -> Schema:
    return documented(RefreshTokenTransport.BODY)


@pytest.fixture(scope="module")
def by_cookie() -> Schema:
    return documented(RefreshTokenTransport.COOKIE)


def test_the_routes_are_the_same_except_for_the_transport(
    by_body: Schema, by_cookie: Schema
) -> None:
    """This finds a rule that was added to the route of only one of the two transports."""
    others = dict(operations(by_cookie))
    for route, operation in operations(by_body):
        other = dict(others.pop(route))
        if route in HANDOVERS | {LOGOUT}:
            codes, other_codes = error_codes(operation), error_codes(other)
            assert other_codes - codes <= {"untrusted_origin", "invalid_refresh_token"}, route
            body_s_own = {
                "bad_request",
                "payload_too_large",
                "unsupported_media_type",
                "unsupported_content_encoding",
                "validation_failed",
            }
            has_body = "requestBody" in other
            assert codes - other_codes == (set() if has_body else body_s_own), route
            for told in ("operationId", "summary", "tags"):
                assert other[told] == operation[told], route
        else:
            assert other == operation, route
    assert not others


def error_codes(operation: dict[str, Any]) -> set[str]:
    return {
        code
        for response in operation["responses"].values()
        for media in response.get("content", {}).values()
        for code in media.get("examples", {})
    }


def test_routes_that_use_the_cookie_document_untrusted_origin(by_cookie: Schema) -> None:
    """CK4."""
    refusing = {r for r, o in operations(by_cookie) if "untrusted_origin" in error_codes(o)}
    assert refusing == HANDOVERS | {LOGOUT}


def test_the_cookie_is_the_documented_credential_of_the_routes_that_read_it(
    by_cookie: Schema,
) -> None:
    """CK2."""
    schemes = by_cookie["components"]["securitySchemes"]
    [(scheme, facts)] = [item for item in schemes.items() if item[1]["type"] == "apiKey"]
    assert (facts["in"], facts["name"]) == ("cookie", NAME)

    users = {r for r, o in operations(by_cookie) if {scheme: []} in o.get("security", [])}
    assert users == {REFRESH, LOGOUT}


def test_no_body_has_a_token_where_the_cookie_has_it(by_cookie: Schema) -> None:
    """CK2: neither request bodies nor response bodies."""
    assert not {"refresh_token"} & {name for name, _ in named_schemas(by_cookie)}
    assert not {REFRESH, LOGOUT} & {r for r, o in operations(by_cookie) if "requestBody" in o}


def test_the_bodies_have_the_token_where_no_cookie_has_it(by_body: Schema) -> None:
    tokens = by_body["components"]["schemas"]["TokenResponse"]
    assert set(tokens["required"]) == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert {REFRESH, LOGOUT} <= {r for r, o in operations(by_body) if "requestBody" in o}
    assert by_body["components"]["securitySchemes"].keys() == {"OAuth2PasswordBearer"}


@on_sqlite
@pytest.mark.settings(REFRESH_TOKEN_TRANSPORT="cookie")
async def test_an_untrusted_origin_is_refused_as_documented(api: Api, app: FastAPI) -> None:
    api.client.headers["Origin"] = "https://evil.example"
    paths = {route: route.removeprefix("POST ") for route in HANDOVERS | {LOGOUT}}
    refused = [Answer(r, await api.client.post(path, json={})) for r, path in paths.items()]

    assert {answer.response.status_code for answer in refused} == {403}
    assert [fault for answer in refused for fault in undocumented(app.openapi(), answer)] == []
