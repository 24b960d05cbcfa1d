"""The parts of a dialect, and the errors that the server itself sends in it."""

import json
import pickle
from http import HTTPStatus
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from examples.catalogue.core.config import Settings
from mscr.http.dialect import Dialect, ErrorShape, TokenScheme
from mscr.http.dialect_middleware import DialectMiddleware
from mscr.http.problems import PROBLEM_MEDIA_TYPE
from mscr.http.refusals import Refusals
from mscr.server.refusal import Refusal
from mscr.tests.server.serving import request, serving
from mscr.tests.support import dialects
from mscr.tests.support.dialects import DIALECT, SentencesResponse, sentences

REFUSED = {
    400: request(b"GET /svc/api/v1/users/me?a=/x", b"no colon"),
    431: request(b"GET /svc/api/v1/users", b"X: " + b"a" * 70_000),
    501: request(b"POST /svc/api/v1/items", b"Transfer-Encoding: gzip"),
}


async def test_the_server_s_own_errors_have_the_shape_of_their_path() -> None:
    # The parent process pickles it for its workers.
    made = Refusals([], credentials=False, dialect=DIALECT, root_path="/svc")
    answer = pickle.loads(pickle.dumps(made))  # noqa: S301
    found = {}
    async with serving(answer=answer) as server:
        for status, sent in {**REFUSED, 0: b"\0\r\n\r\n"}.items():
            async with await server.connect() as client:
                await client.send(sent)
                found[status] = await client.response()

    for status in (400, 431):
        sent_status, headers, content = found[status]
        assert (sent_status, headers["content-type"]) == (status, "application/vnd.code+json")
        assert json.loads(content).keys() == {"error"}
    for status in (501, 0):
        _, headers, content = found[status]
        assert headers["content-type"] == "application/json"
        assert json.loads(content).keys() == {"errors"}


def test_a_refusal_at_a_path_without_a_shape_is_a_problem() -> None:
    made = Refusals([], credentials=False, dialect=Dialect(errors=DIALECT.errors[:1]))

    for target in (b"", b"/health", b"/api/v1/userse"):
        answer = made(Refusal(HTTPStatus.BAD_REQUEST, None, [], target))
        assert (b"content-type", PROBLEM_MEDIA_TYPE.encode()) in answer.headers


def test_a_refusal_at_an_encoded_path_has_the_shape_of_the_path() -> None:
    made = Refusals([], credentials=False, dialect=DIALECT, root_path="/svc")
    answer = made(Refusal(HTTPStatus.BAD_REQUEST, None, [], b"/%73vc/api/v1/%75sers/me?a=%2F"))

    assert (b"content-type", b"application/vnd.code+json") in answer.headers


async def test_a_pipelined_request_is_refused_in_the_shape_of_its_own_path() -> None:
    made = Refusals([], credentials=False, dialect=DIALECT)
    first = request(b"POST /api/v1/items", b"Content-Length: 1")
    second = request(b"POST /api/v1/users", b"Transfer-Encoding: chunked", body=b"x\r\n")
    async with serving(answer=made) as server, await server.connect() as client:
        await client.send(first + b"a" + second)
        statuses = [await client.response() for _ in range(2)]

    assert [status for status, _, _ in statuses] == [200, 400]
    assert json.loads(statuses[1][2]).keys() == {"error"}


@pytest.mark.parametrize("prefix", ["api", "/", "/api/"])
def test_a_prefix_begins_with_a_slash_and_ends_without(prefix: str) -> None:
    with pytest.raises(ValueError, match="like /api, not"):
        ErrorShape(prefix, SentencesResponse, sentences)


@pytest.mark.parametrize("name", ["", "a b", "Käse", "Token "])
def test_a_scheme_is_a_token(name: str) -> None:
    with pytest.raises(ValueError, match="like Token, not"):
        TokenScheme(name, "")


async def test_only_what_a_contract_dictates_is_translated() -> None:
    seen: list[Any] = []

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        seen.append(scope)
        challenge = [(b"www-authenticate", b"Bearer")]
        await send({"type": "http.response.start", "status": 401, "headers": challenge})

    async def send(message: Message) -> None:
        seen.append(message)

    async def receive() -> Message:
        raise NotImplementedError

    speaking = DialectMiddleware(app, Dialect(errors=DIALECT.errors[:1]), token_path="/token")
    headers = [(b"authorization", b"Bearer a")]
    http: Scope = {"type": "http", "path": "/health", "headers": headers}
    await speaking(http, receive, send)
    lifespan: Scope = {"type": "lifespan"}
    await DialectMiddleware(app, DIALECT, token_path="/token")(lifespan, receive, send)

    assert seen[0] is http
    assert seen[1]["headers"] == [(b"www-authenticate", b"Bearer")]
    assert seen[2] is lifespan


def test_an_application_without_callers_has_no_scheme() -> None:
    document = dialects.with_routers(Settings.from_env_file(None)).openapi()

    assert "securitySchemes" not in document["components"]
    assert Dialect(integer_ids=frozenset({"comments"})).is_default
