"""An application in another dialect: errors of every status, tokens, challenges and OpenAPI."""

import json
from dataclasses import replace

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from starlette.exceptions import HTTPException

from examples.catalogue.core.config import Settings
from examples.catalogue.project import project
from examples.catalogue.routers import auth, users
from examples.catalogue.tests.api import Api
from mscr.project import Project
from mscr.testing.json_schema import Schema
from mscr.testing.objects import refusal
from mscr.testing.openapi import operations
from mscr.testing.problems import TOKEN_PATH, assert_unauthorized, problem, shown_problem
from mscr.testing.route_checks.client_documents import references
from mscr.testing.route_checks.documents import DocumentChecks
from mscr.tests.api.test_websockets import shake_hands
from mscr.tests.support import dialects, statuses
from mscr.tests.support.dialects import DIALECT, USERS, sentences

ITEMS = "/api/v1/items"
ME = f"{USERS}/me"


@pytest.fixture
def backend() -> str:
    """Run on SQLite only: the middleware does not depend on the database."""
    return "sqlite"


@pytest.fixture(scope="session")
def tested_project() -> Project:
    return replace(project, create_app=dialects.create_app, dialect=lambda: DIALECT)


@statuses.limited
async def test_errors_of_every_status_have_the_shape_of_their_path(api: Api, app: FastAPI) -> None:
    answers = await statuses.answer_of_every_status(api, app)
    assert answers.keys() == statuses.STATUSES

    for status, response in answers.items():
        if status >= 400:
            found = shown_problem(response)
            is_users = response.request.url.path.startswith(USERS)
            expected = dialects.code(found) if is_users else sentences(found)
            assert (found["status"], response.json()) == (status, expected)
            assert refusal(response) == f"{status} {found['code']}"
            assert int(response.headers["content-length"]) == len(response.content)
            assert response.headers["x-request-id"] == found["request_id"]


@pytest.mark.settings(ALLOWED_HOSTS="testserver", CORS_ORIGINS="https://app.example.com")
async def test_errors_before_any_route_have_the_shape_of_their_path(client: AsyncClient) -> None:
    preflight = {"Origin": "https://evil.example.com", "Access-Control-Request-Method": "GET"}
    for path in (ITEMS, ME, "/nothing", f"{USERS}-of-another-kind"):
        headers = {"Host": "evil.example.com"}
        problem(await client.get(path, headers=headers), 400, "untrusted_host")
        refused = await client.options(path, headers=preflight)
        assert refused.status_code >= 400
        shown_problem(refused)
    problem(await client.get("/nothing"), 404, "not_found")
    problem(await client.get(f"{USERS}/nothing/at/all"), 404, "not_found")


async def test_the_error_of_a_head_request_has_no_body(client: AsyncClient) -> None:
    response = await client.head(ME)

    assert (response.status_code, response.content) == (401, b"")
    assert response.headers["content-type"] == "application/vnd.code+json"
    assert "content-length" not in response.headers


async def test_the_token_endpoint_keeps_the_errors_of_oauth2(client: AsyncClient) -> None:
    refused = await client.post(TOKEN_PATH, data={"grant_type": "other"})

    assert problem(refused, 400, "unsupported_grant_type")["error"] == "unsupported_grant_type"


async def test_only_the_scheme_of_the_dialect_is_accepted(api: Api) -> None:
    account = await api.register()
    token = account.access_token

    assert account.headers == {"Authorization": f"Token {token}"}
    assert (await api.client.get(ME, headers=account.headers)).is_success
    assert (await api.client.get(ME, headers={"Authorization": f"tOKEN {token}"})).is_success
    for other in (f"Bearer {token}", f"bearer {token}", f"Basic {token}", token, "Token", ""):
        refused = await api.client.get(ME, headers={"Authorization": other})
        assert refused.headers["www-authenticate"] == "Token", other
        problem(refused, 401, "unauthorized")


async def test_challenges_name_the_scheme_of_the_dialect(api: Api) -> None:
    assert_unauthorized(await api.client.get(ME))
    assert_unauthorized(await api.client.get(ME, headers={"Authorization": "Token e30.e30.e30"}))
    user = await api.register()
    forbidden = await api.client.get(USERS, headers=user.headers)
    challenge = forbidden.headers["www-authenticate"]
    assert challenge.startswith('Token error="insufficient_scope", scope="')


async def test_a_challenge_of_another_scheme_stays(app: FastAPI, client: AsyncClient) -> None:
    challenge = {"WWW-Authenticate": 'Basic realm="files"'}

    @app.get("/files")
    async def files() -> None:
        raise HTTPException(401, headers=challenge)

    refused = await client.get("/files")
    problem(refused, 401, "unauthorized")
    assert refused.headers.items() >= {"www-authenticate": challenge["WWW-Authenticate"]}.items()


async def test_a_refused_handshake_has_the_shape_of_its_path(settings: Settings) -> None:
    allowing = settings.model_copy(update={"ALLOWED_HOSTS": ["api.example.com"]})
    app, other = dialects.create_app(allowing), (b"host", b"evil.example.com")

    start, body = await shake_hands(app, other, extensions={"websocket.http.response": {}})
    assert start["type"], body["type"] == (
        "websocket.http.response.start",
        "websocket.http.response.body",
    )
    assert dict(start["headers"])[b"content-type"] == b"application/json"
    assert json.loads(body["body"]).keys() == {"errors"}
    assert await shake_hands(app, other) == [{"type": "websocket.close", "code": 1008}]


class TestDocument(DocumentChecks):
    def test_schemas_are_those_of_the_dialect(self, openapi: Schema) -> None:
        """The token endpoint and the rows of bulk requests keep theirs."""
        schemas = openapi["components"]["schemas"]

        assert schemas.keys() >= {"CodeResponse", "SentencesResponse", "Sentences"}
        assert schemas.keys() >= {"OAuth2Problem", "Problem"}
        assert set(references(openapi)) >= {f"#/components/schemas/{name}" for name in schemas}

    def test_problems_are_not_documented_where_nothing_sends_them(self) -> None:
        app = dialects.with_routers(Settings.from_env_file(None), users.router)
        schemas = app.openapi()["components"]["schemas"]

        assert not schemas.keys() & {"Problem", "FieldProblem"}

    def test_a_token_endpoint_documents_no_other_problems(self) -> None:
        settings = Settings.from_env_file(None)
        app = dialects.with_routers(settings, *auth.routers(settings))
        schemas = app.openapi()["components"]["schemas"]

        assert schemas.keys() & {"OAuth2Problem", "Problem"} == {"OAuth2Problem"}
        self.test_the_documented_problem_has_the_members_of_a_real_one(app.openapi())

    def test_security_is_the_header_of_the_dialect(self, openapi: Schema) -> None:
        assert openapi["components"]["securitySchemes"]["Token"] == {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "Send `Token` and the access token.",
        }
        ways = [
            way for _, operation in operations(openapi) for way in operation.get("security", ())
        ]
        assert {name for way in ways for name in way} >= {"Token"}
        assert "Bearer" not in json.dumps(openapi)

    def test_other_applications_keep_their_document(self, openapi: Schema) -> None:
        assert "Bearer" in json.dumps(project.create_app(Settings.from_env_file(None)).openapi())
