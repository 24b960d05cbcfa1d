"""Requests that are wrong in what they are made of: none is an error of ours, or too costly."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, Request
from httpx2 import AsyncClient, Response

from tests.support.api import Api
from tests.support.bodies import BodySender
from tests.support.databases import on_sqlite
from tests.support.junk import BROKEN_JSON, CONTENT_TYPES
from tests.support.problems import faulty_fields, problem
from tests.support.routes import QUERIES, RouteCaller

LIMIT = 4096
CHUNK = 1024
INVALID = "validation_failed"
FORM = "application/x-www-form-urlencoded"
LOGIN = "/api/v1/auth/login"
TOKEN = "/api/v1/auth/token"
ITEMS = "/api/v1/items"


def refused(response: Response, *statuses: int) -> bool:
    """Whether it is one of these statuses, said in the one shape."""
    body = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code in statuses and body["status"] == response.status_code


@on_sqlite
@pytest.mark.settings(MAX_BODY_BYTES=LIMIT)
class TestBodyLimit:
    async def test_a_body_of_the_limit_is_read_and_one_byte_more_is_not(
        self, sender: BodySender
    ) -> None:
        """IN1."""
        for route in sender.routes:
            assert (await sender.send(route, b"[" * LIMIT)).status_code != 413, route
            too_large = await sender.send(route, b"[" * (LIMIT + 1))
            problem(too_large, 413, "payload_too_large")

    @pytest.mark.parametrize("kind", ["application/json", FORM])
    async def test_chunks_are_counted_and_refused_before_the_last_one_is_read(
        self, sender: BodySender, kind: str
    ) -> None:
        """IN1."""

        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(10 * LIMIT // CHUNK):
                read.append(CHUNK)
                yield b"[" * CHUNK

        for route in sender.routes:
            read: list[int] = []
            response = await sender.send(route, chunks(), kind)
            problem(response, 413, "payload_too_large")
            assert sum(read) <= LIMIT + 2 * CHUNK, route

    @pytest.mark.parametrize(("path", "limit"), [("/larger", 3 * LIMIT), ("/smaller", 100)])
    async def test_a_route_may_raise_or_lower_the_limit(
        self, app: FastAPI, client: AsyncClient, path: str, limit: int
    ) -> None:
        """IN1: in the one shape, whether the length was announced or not."""
        router = APIRouter(prefix="/limits")

        @router.post("/larger", max_body_size=3 * LIMIT)
        @router.post("/smaller", max_body_size=100)
        async def read(request: Request) -> int:
            return len(await request.body())

        app.include_router(router)

        async def chunks(length: int) -> AsyncIterator[bytes]:
            for _ in range(length):
                yield b"x"

        for content in (b"x" * limit, chunks(limit)):
            assert (await client.post(f"/limits{path}", content=content)).json() == limit
        for content in (b"x" * (limit + 1), chunks(limit + 1)):
            response = await client.post(f"/limits{path}", content=content)
            problem(response, 413, "payload_too_large")
        problem(await client.get(f"/limits{path}"), 405, "method_not_allowed")

    @pytest.mark.parametrize("length", ["4097", "00004097", "9" * 30, "9" * 5000])
    @pytest.mark.parametrize("path", ["/health/live", "/nothing/here", LOGIN])
    async def test_an_announced_length_is_enough_whatever_the_route(
        self, client: AsyncClient, path: str, length: str
    ) -> None:
        """IN1."""
        response = await client.post(path, headers={"Content-Length": length})
        problem(response, 413, "payload_too_large")

    async def test_what_is_no_length_is_not_taken_for_a_large_one(
        self, client: AsyncClient
    ) -> None:
        """IN1."""
        for length in ("-1", "abc", "1e9", "+5", "", "0x1000000", "\xb2"):
            headers = [(b"content-length", length.encode("latin-1"))]
            assert (await client.get("/health/live", headers=headers)).status_code == 200


def with_nul(value: Any) -> list[Any]:
    """A value of the same kind with a NUL in it, and NULs deeper down."""
    text = value if isinstance(value, str) else "text"
    return [f"{text}\0", f"\0{text}", "\0", [f"{text}\0"], {"\0": "\0"}, {"a": {"b\0": ["\0"]}}]


async def test_a_nul_is_refused_in_every_field_of_every_body(sender: BodySender) -> None:
    """IN2."""
    for route in sender.routes:
        for field, value in sender.body(route).items():
            for bad in with_nul(value):
                content = json.dumps({**sender.body(route), field: bad})
                response = await sender.send(route, content)
                assert faulty_fields(response)[0][:2] == ["body", field], (route, bad)


async def test_a_nul_is_refused_in_every_key(sender: BodySender) -> None:
    """IN2."""
    for route in sender.routes:
        for key in ("\0", *(f"{field}\0" for field in sender.body(route))):
            response = await sender.send(route, json.dumps({**sender.body(route), key: "a"}))
            problem(response, 422, INVALID)


async def test_a_nul_is_refused_in_a_login_form(api: Api) -> None:
    """IN2."""
    for form in ("username=a%00&password=b", "username=a&password=b%00"):
        content = f"grant_type=password&{form}"
        response = await api.client.post(TOKEN, content=content, headers={"Content-Type": FORM})
        problem(response, 400, "invalid_request")


async def test_a_nul_is_refused_in_queries_and_paths(api: Api) -> None:
    """IN2."""
    admin = await api.register_admin()
    await api.create_item(admin)
    for path in (
        f"{ITEMS}/search?q=%00",
        f"{ITEMS}/search?q=thing%00",
        f"{ITEMS}?sort=title%00",
        f"{ITEMS}?status=draft%00",
        f"{ITEMS}?%00=1",
        f"{ITEMS}/%00",
        "/api/v1/users/%00",
        "/api/v1/users?role=%00",
    ):
        response = await api.client.get(path, headers=admin.headers)
        problem(response, 422, INVALID)


@on_sqlite
async def test_whatever_reads_a_query_refuses_what_it_does_not_know(api: Api, app: FastAPI) -> None:
    """A misspelt option must not be passed over."""
    caller, asked = RouteCaller(api), 0
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            if any(each["in"] == "query" for each in operation.get("parameters", ())):
                route = f"{method.upper()} {path}"
                query = {**QUERIES.get(route, {}), "nothing": "1"}
                refused = await caller.call(route, "administrator", params=query)
                assert faulty_fields(refused) == [["query", "nothing"]], route
                asked += 1
    assert asked > 10


async def test_what_is_no_utf_8_in_a_query_is_no_error_of_ours(api: Api) -> None:
    """IN3."""
    user = await api.register()
    for words in ("%ff", "%c3%28", "%ed%a0%80", "%f8%88%80%80%80", "%"):
        path = f"{ITEMS}/search?q={words}"
        assert (await api.client.get(path, headers=user.headers)).status_code == 200
        problem(await api.client.get(f"{ITEMS}?{words}=1", headers=user.headers), 422, INVALID)


@on_sqlite
@pytest.mark.parametrize("value", [b"\0", b"Bearer \0", b"Bearer a\0.b.c", b"Bearer \xff\xfe"])
async def test_junk_in_the_authorization_header_is_no_token(
    client: AsyncClient, value: bytes
) -> None:
    """IN2."""
    response = await client.get("/api/v1/users/me", headers=[(b"authorization", value)])
    problem(response, 401, "unauthorized")


@on_sqlite
@pytest.mark.parametrize(
    "value",
    [b"12345678\0", b"12345678\r\nX-Evil: 1", b"\xff" * 9, b"1234567", b"a" * 65, b"a b c d"],
)
async def test_junk_is_not_taken_over_as_a_request_id(client: AsyncClient, value: bytes) -> None:
    """IN2, ER4."""
    response = await client.get("/health/live", headers=[(b"x-request-id", value)])
    assert response.headers["x-request-id"].isalnum()
    assert len(response.headers["x-request-id"]) == 32
    assert "x-evil" not in response.headers


async def test_a_decent_request_id_is_taken_over(client: AsyncClient) -> None:
    response = await client.get("/nothing", headers={"X-Request-ID": "trace-0123.4_5"})
    assert response.headers["x-request-id"] == "trace-0123.4_5"
    assert response.json()["request_id"] == "trace-0123.4_5"


async def test_a_body_that_is_no_json_object_is_refused_everywhere(sender: BodySender) -> None:
    """IN3."""
    for route in sender.routes:
        for name, content in BROKEN_JSON.items():
            assert refused(await sender.send(route, content), 400, 422), (route, name)


async def test_a_lone_surrogate_is_refused_in_every_field(sender: BodySender) -> None:
    """IN3."""
    for route in sender.routes:
        for field in sender.body(route):
            for text in (r"\ud800", r"a\udfff", r"\ud83e", r"\ud83e\ud83e"):
                content = json.dumps({**sender.body(route), field: "@"}).replace("@", text)
                assert refused(await sender.send(route, content.encode()), 400, 422), (route, field)


async def test_what_a_pair_of_surrogates_stands_for_is_kept(sender: BodySender) -> None:
    """IN3."""
    response = await sender.send(f"POST {ITEMS}", rb'{"title": "\ud83e\udd5b"}')
    assert response.json()["data"]["title"] == "\U0001f95b"


async def test_of_two_keys_of_one_name_the_last_counts(sender: BodySender) -> None:
    """IN3: and both are checked alike."""
    response = await sender.send(f"POST {ITEMS}", b'{"title": "first", "title": "second"}')
    assert response.json()["data"]["title"] == "second"


@on_sqlite
async def test_many_faults_are_not_all_told(sender: BodySender) -> None:
    """IN3: the answer must not be many times larger than the request."""
    for content in (
        json.dumps(dict.fromkeys((f"k{i}" for i in range(5000)), 1)),
        json.dumps({"k" * 100_000: 1}),
    ):
        for route in sender.routes:
            response = await sender.send(route, content)
            problem(response, 422, INVALID)
            assert len(response.content) < 10_000, route


@on_sqlite
async def test_a_body_of_another_content_type_is_refused(sender: BodySender) -> None:
    """IN5."""
    for route in sender.routes:
        for kind in CONTENT_TYPES:
            response = await sender.send(route, json.dumps(sender.body(route)), kind)
            assert refused(response, 415, 422), (route, kind)


@on_sqlite
async def test_a_compressed_body_is_refused_by_name(sender: BodySender) -> None:
    """IN5."""
    for encoding in ("gzip", "br", "GZIP, identity"):
        for route in sender.routes:
            content = json.dumps(sender.body(route))
            response = await sender.send(route, content, **{"Content-Encoding": encoding})
            body = problem(response, 415, "unsupported_content_encoding")
            assert "Content-Encoding" in body["detail"]
            assert response.headers["accept-encoding"] == "identity"
    for encoding in ("", "Identity"):
        headers = {"Content-Encoding": encoding}
        response = await sender.send(f"POST {ITEMS}", '{"title": "a"}', **headers)
        assert response.status_code == 201


@on_sqlite
async def test_a_body_in_another_encoding_than_utf_8_is_told_of_utf_8(sender: BodySender) -> None:
    """IN3."""
    for route in sender.routes:
        response = await sender.send(route, '{"title": "Käse"}'.encode("latin-1"))
        assert refused(response, 400, 422), route
        assert "UTF-8" in response.text, route


@on_sqlite
async def test_a_body_without_a_content_type_is_refused(sender: BodySender, api: Api) -> None:
    """IN5."""
    request = api.client.build_request("POST", LOGIN, content=b'{"email": "a", "password": "b"}')
    request.headers.pop("content-type", None)
    problem(await api.client.send(request), 422, INVALID)


@on_sqlite
async def test_a_form_opens_no_route_that_takes_json(sender: BodySender) -> None:
    """IN5."""
    for route in sender.routes:
        for form in ("title=a&password=b", ""):
            response = await sender.send(route, form, FORM)
            problem(response, 415, "unsupported_media_type")


@on_sqlite
@pytest.mark.parametrize(
    "form",
    [
        b"",
        b"&&&===",
        b"username=a",
        b"username=a&password=",
        b"username=%ff%fe&password=%c3%28",
        b"username=" + b"a" * 255 + b"&password=b",
        b"&".join(b"f%d=1" % i for i in range(30)),
        bytes(range(256)),
    ],
)
async def test_a_broken_login_form_logs_nobody_in(client: AsyncClient, form: bytes) -> None:
    """IN5."""
    response = await client.post(TOKEN, content=form, headers={"Content-Type": FORM})
    assert refused(response, 400)


@on_sqlite
async def test_what_counts_as_white_space_is_what_the_documented_pattern_says(api: Api) -> None:
    """Languages differ in what white space is: of U+0085, U+FEFF and U+001C, for three."""
    owner = await api.register()
    document = (await api.client.get("/openapi.json")).json()
    pattern = document["components"]["schemas"]["TagWrite"]["properties"]["name"]["pattern"]
    found = {}
    for sign in "\t\x1c \x85\xa0\u180e\u2003\u200b\u2028\u3000\ufeffa":
        response = await api.client.post("/api/v1/tags", json={"name": sign}, headers=owner.headers)
        found[sign] = response.status_code

    assert found == {sign: 201 if re.search(pattern, sign) else 422 for sign in found}
    assert len(set(found.values())) == 2
