"""Malformed and oversized requests: none causes a server error or costs too much."""

import json
import re
from collections.abc import AsyncIterator

import pytest
from fastapi import APIRouter, FastAPI, Request
from httpx2 import AsyncClient

from examples.catalogue.tests.api import Api
from mscr.http.media_types import FORM_TYPE as FORM
from mscr.testing.bodies import BodySender
from mscr.testing.databases import on_sqlite
from mscr.testing.problems import problem
from mscr.testing.route_checks.bodies import (
    INVALID,
    LIMIT,
    refused,
)

LOGIN = "/api/v1/auth/login"
TOKEN = "/api/v1/auth/token"
ITEMS = "/api/v1/items"


@on_sqlite
@pytest.mark.settings(MAX_BODY_BYTES=LIMIT)
class TestBodyLimit:
    @pytest.mark.parametrize(("path", "limit"), [("/larger", 3 * LIMIT), ("/smaller", 100)])
    async def test_a_route_may_raise_or_lower_the_limit(
        self, app: FastAPI, client: AsyncClient, path: str, limit: int
    ) -> None:
        """IN1: 413 is a problem (RFC 9457), with `Content-Length` or without."""
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
    async def test_a_large_content_length_is_refused_on_every_route(
        self, client: AsyncClient, path: str, length: str
    ) -> None:
        """IN1."""
        response = await client.post(path, headers={"Content-Length": length})
        problem(response, 413, "payload_too_large")

    async def test_an_invalid_content_length_is_not_taken_for_a_large_one(
        self, client: AsyncClient
    ) -> None:
        """IN1."""
        for length in ("-1", "abc", "1e9", "+5", "", "0x1000000", "\xb2"):
            headers = [(b"content-length", length.encode("latin-1"))]
            assert (await client.get("/health/live", headers=headers)).status_code == 200


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


async def test_invalid_utf_8_in_a_query_causes_no_server_error(api: Api) -> None:
    """IN3."""
    user = await api.register()
    for words in ("%ff", "%c3%28", "%ed%a0%80", "%f8%88%80%80%80", "%"):
        path = f"{ITEMS}/search?q={words}"
        assert (await api.client.get(path, headers=user.headers)).status_code == 200
        problem(await api.client.get(f"{ITEMS}?{words}=1", headers=user.headers), 422, INVALID)


@on_sqlite
@pytest.mark.parametrize("value", [b"\0", b"Bearer \0", b"Bearer a\0.b.c", b"Bearer \xff\xfe"])
async def test_junk_in_the_authorization_header_is_401(client: AsyncClient, value: bytes) -> None:
    """IN2."""
    response = await client.get("/api/v1/users/me", headers=[(b"authorization", value)])
    problem(response, 401, "unauthorized")


@on_sqlite
@pytest.mark.parametrize(
    "value",
    [b"12345678\0", b"12345678\r\nX-Evil: 1", b"\xff" * 9, b"1234567", b"a" * 65, b"a b c d"],
)
async def test_junk_is_not_adopted_as_a_request_id(client: AsyncClient, value: bytes) -> None:
    """IN2, ER4."""
    response = await client.get("/health/live", headers=[(b"x-request-id", value)])
    assert response.headers["x-request-id"].isalnum()
    assert len(response.headers["x-request-id"]) == 32
    assert "x-evil" not in response.headers


async def test_a_well_formed_request_id_is_adopted(client: AsyncClient) -> None:
    response = await client.get("/nothing", headers={"X-Request-ID": "trace-0123.4_5"})
    assert response.headers["x-request-id"] == "trace-0123.4_5"
    assert response.json()["request_id"] == "trace-0123.4_5"


async def test_a_surrogate_pair_is_stored_as_its_character(sender: BodySender) -> None:
    """IN3."""
    response = await sender.send(f"POST {ITEMS}", rb'{"title": "\ud83e\udd5b"}')
    assert response.json()["data"]["title"] == "\U0001f95b"


async def test_the_last_of_two_keys_with_one_name_counts(sender: BodySender) -> None:
    """IN3: validation and storage use the same one."""
    response = await sender.send(f"POST {ITEMS}", b'{"title": "first", "title": "second"}')
    assert response.json()["data"]["title"] == "second"


@on_sqlite
async def test_a_compressed_body_is_refused_with_its_content_encoding(sender: BodySender) -> None:
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
@pytest.mark.parametrize(
    ("value", "fault"), [("[" * 200_000, "nested too deeply"), ("9" * 5000, "too many digits")]
)
async def test_a_body_beyond_the_limits_of_the_parser_is_refused_with_the_reason(
    sender: BodySender, value: str, fault: str
) -> None:
    """IN3."""
    response = await sender.send(f"POST {ITEMS}", f'{{"title": {value}}}')

    assert fault in problem(response, 400, "bad_request")["detail"]


@on_sqlite
async def test_a_body_without_a_content_type_is_refused(sender: BodySender, api: Api) -> None:
    """IN5."""
    request = api.client.build_request("POST", LOGIN, content=b'{"email": "a", "password": "b"}')
    request.headers.pop("content-type", None)
    problem(await api.client.send(request), 422, INVALID)


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
async def test_a_malformed_login_form_is_400(client: AsyncClient, form: bytes) -> None:
    """IN5."""
    response = await client.post(TOKEN, content=form, headers={"Content-Type": FORM})
    assert refused(response, 400)


@on_sqlite
async def test_white_space_is_as_the_documented_pattern_defines_it(api: Api) -> None:
    """Languages differ in what is white space: U+0085, U+FEFF and U+001C, for example."""
    owner = await api.register()
    document = (await api.client.get("/openapi.json")).json()
    pattern = document["components"]["schemas"]["TagWrite"]["properties"]["name"]["pattern"]
    found = {}
    for sign in "\t\x1c \x85\xa0\u180e\u2003\u200b\u2028\u3000\ufeffa":
        response = await api.client.post("/api/v1/tags", json={"name": sign}, headers=owner.headers)
        found[sign] = response.status_code

    assert found == {sign: 201 if re.search(pattern, sign) else 422 for sign in found}
    assert len(set(found.values())) == 2
