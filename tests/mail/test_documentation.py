"""OpenAPI with registration by mail: it says what this mode answers, and nothing of the other."""

from typing import Any

import pytest
from fastapi import FastAPI

from tests.api.test_openapi import OPERATION_IDS, operations, undocumented
from tests.support.crawl import Answer, crawl
from tests.support.databases import on_sqlite
from tests.support.json_schema import Schema, SchemaReader
from tests.support.mail_registration import CONFIRM, REGISTER, MailApi, link_token
from tests.support.routes import routes_of

pytestmark = on_sqlite

ASK, OPEN = f"POST {REGISTER}", f"POST {CONFIRM}"
BY_MAIL = {**OPERATION_IDS, OPEN: "confirm_registration"}


@pytest.fixture
def openapi(app: FastAPI) -> Schema:
    return app.openapi()


def test_one_route_is_added(app: FastAPI, openapi: Schema) -> None:
    assert {route: o["operationId"] for route, o in operations(openapi)} == BY_MAIL
    assert OPEN in routes_of(app)


def test_the_first_step_documents_neither_tokens_nor_a_taken_address(openapi: Schema) -> None:
    """LG3."""
    operation = dict(operations(openapi))[ASK]

    assert set(operation["responses"]) == {"202", "400", "413", "415", "422", "429", "503"}
    schema = operation["responses"]["202"]["content"]["application/json"]["schema"]
    example = SchemaReader(openapi).example(schema, ASK)
    assert example["data"] is None


@pytest.mark.settings(REFRESH_TOKEN_TRANSPORT="cookie")
async def test_neither_step_has_to_do_with_the_cookie(api: MailApi, openapi: Schema) -> None:
    """No token is handed out, so any page may send it, and no cookie is set."""
    api.client.headers["Origin"] = "https://evil.example"
    asked = await api.ask("new@example.com")
    confirmed = await api.confirm(link_token(await api.server.next()))

    assert (asked.status_code, confirmed.status_code) == (202, 201)
    assert "set-cookie" not in asked.headers.keys() | confirmed.headers.keys()
    paths = {REGISTER, CONFIRM}
    assert "untrusted_origin" not in str([openapi["paths"][path] for path in paths])


async def test_every_answer_is_as_documented(api: MailApi, openapi: Schema) -> None:
    account = await api.register("ada@example.com")
    token = await api.mailed_token("new@example.com")
    answers = [answer for answer in await crawl(api, BY_MAIL) if answer.route]
    answers += [Answer(ASK, await api.ask(account.email))]
    answers += [Answer(OPEN, await api.confirm(token)) for _ in range(2)]

    assert {a.response.status_code for a in answers if a.route == ASK} == {202, 400, 415, 422}
    assert {a.response.status_code for a in answers if a.route == OPEN} == {201, 400, 409, 415, 422}
    assert [fault for answer in answers for fault in undocumented(openapi, answer)] == []


async def test_the_examples_of_bodies_are_accepted(api: MailApi, openapi: Schema) -> None:
    reader = SchemaReader(openapi)
    for route, code in ((ASK, None), (OPEN, "invalid_registration_token")):
        content: dict[str, Any] = dict(operations(openapi))[route]["requestBody"]["content"]
        example = reader.example(content["application/json"]["schema"], route)
        response = await api.client.post(route.split()[1], json=example)
        assert response.json().get("code") == code
