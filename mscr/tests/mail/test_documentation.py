"""OpenAPI with registration by mail documents the responses of this mode only."""

from typing import Any

import pytest
from fastapi import FastAPI

from mscr.testing.crawl import Answer, crawl
from mscr.testing.databases import on_sqlite
from mscr.testing.json_schema import Schema, SchemaReader
from mscr.testing.mail_registration import CONFIRM, REGISTER, link_token
from mscr.testing.openapi import operations, undocumented
from mscr.testing.recorded_routes import RecordFile
from mscr.testing.route_checks.records import FILE
from mscr.testing.routes import routes_of
from mscr.tests.mail.api import MailApi
from mscr.tests.support.paths import CATALOGUE

pytestmark = on_sqlite

ASK, OPEN = f"POST {REGISTER}", f"POST {CONFIRM}"


@pytest.fixture
def openapi(app: FastAPI) -> Schema:
    return app.openapi()


def test_one_route_is_added(app: FastAPI) -> None:
    recorded = {
        route: facts["name"] for route, facts in RecordFile(CATALOGUE / FILE).read().items()
    }
    found = {name: route.operation.get("operationId", "") for name, route in routes_of(app).items()}
    assert found == {**recorded, OPEN: "confirm_registration"}


def test_the_first_step_documents_neither_tokens_nor_a_taken_address(openapi: Schema) -> None:
    """LG3."""
    operation = dict(operations(openapi))[ASK]

    assert set(operation["responses"]) == {"202", "400", "413", "415", "422", "429", "503"}
    schema = operation["responses"]["202"]["content"]["application/json"]["schema"]
    example = SchemaReader(openapi).example(schema, ASK)
    assert example["data"] is None


@pytest.mark.settings(REFRESH_TOKEN_TRANSPORT="cookie")
async def test_neither_step_uses_the_cookie(api: MailApi, openapi: Schema) -> None:
    """Neither step issues tokens: no cookie is set, and any origin may send the request."""
    api.client.headers["Origin"] = "https://evil.example"
    asked = await api.ask("new@example.com")
    confirmed = await api.confirm(link_token(await api.server.next()))

    assert (asked.status_code, confirmed.status_code) == (202, 201)
    assert "set-cookie" not in asked.headers.keys() | confirmed.headers.keys()
    paths = {REGISTER, CONFIRM}
    assert "untrusted_origin" not in str([openapi["paths"][path] for path in paths])


async def test_every_response_is_as_documented(api: MailApi, app: FastAPI, openapi: Schema) -> None:
    account = await api.register("ada@example.com")
    token = await api.mailed_token("new@example.com")
    documented = dict(operations(openapi))
    answers = [answer for answer in await crawl(api, app) if answer.route in documented]
    answers += [Answer(ASK, await api.ask(account.email))]
    answers += [Answer(OPEN, await api.confirm(token, "another password"))]
    answers += [Answer(OPEN, await api.confirm(token)) for _ in range(2)]

    assert {a.response.status_code for a in answers if a.route == ASK} == {202, 400, 415, 422}
    opened = {a.response.status_code for a in answers if a.route == OPEN}
    assert opened == {201, 400, 403, 409, 415, 422}
    assert [fault for answer in answers for fault in undocumented(openapi, answer)] == []


async def test_the_examples_of_bodies_are_accepted(api: MailApi, openapi: Schema) -> None:
    reader = SchemaReader(openapi)
    for route, code in ((ASK, None), (OPEN, "invalid_registration_token")):
        content: dict[str, Any] = dict(operations(openapi))[route]["requestBody"]["content"]
        example = reader.example(content["application/json"]["schema"], route)
        response = await api.client.post(route.split()[1], json=example)
        assert response.json().get("code") == code
