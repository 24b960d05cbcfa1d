"""Allowed host names: the `Host` header of requests."""

from typing import Final

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from starlette.types import Message

from mscr.testing.databases import on_sqlite
from mscr.testing.problems import problem

SERVED: Final = ["API.example.com", "*.internal.example", "[0::1]", "127.0.0.1"]
pytestmark = [
    on_sqlite,
    pytest.mark.settings(ALLOWED_HOSTS=SERVED),
]
PATH = "/api/v1/items"
MALFORMED: Final = [
    "",
    "api.example.com/x",
    "api.example.com/",
    "api.example.com?x",
    "api.example.com#x",
    "user@api.example.com",
    "evil.com:80@api.example.com",
    "api.example.com ",
    "api.example.com x",
    "api.example.com:80 ",
    "api.example.com:port",
    "api.example.com:-1",
    "api.example.com:65536",
    "api.example.com:0000000000000000080",
    "api.example.com:80:80",
    "api.example.com\\x",
    "http://api.example.com",
    "api.example.com\xa0",
    "b\xfccher.example",
    ":8000",
    "[::1",
    "[::1]x",
    "[::1].example.com",
    "[::1%25eth0]",
    "[v1.x]",
    "[1.2.3.4]",
    "[]",
    "::1",
]


@pytest.mark.parametrize(
    "host",
    [
        "api.example.com",
        "api.example.com:8443",
        "Api.Example.Com",
        "one.internal.example",
        "one.two.internal.example",
        "[::1]:8000",
        "[0:0:0:0:0:0:0:1]",
        "[0000::0001]:443",
        "[::FFFF:127.0.0.1]",
        "[::ffff:7f00:1]:8000",
        "127.0.0.1",
        "api.example.com:",
        "api.example.com:65535",
    ],
)
async def test_a_listed_name_is_served_at_any_port(client: AsyncClient, host: str) -> None:
    """HD2."""
    problem(await client.get(PATH, headers={"Host": host}), 401, "unauthorized")


@pytest.mark.parametrize(
    "host",
    [
        "example.com",
        "evil.com",
        "api.example.com.evil.com",
        "evil-api.example.com",
        "api.example.com@evil.com",
        "evil.com#api.example.com",
        "internal.example",
        "notinternal.example",
        "",
        "[::1",
        "[evil",
        "api.example.com.",
        ".internal.example",
        "..internal.example",
        "a..internal.example",
        "x,y.internal.example",
        "%61pi.example.com",
        "api.example.com,evil.com",
        "[::2]",
    ],
)
async def test_any_other_name_is_refused_with_a_problem(client: AsyncClient, host: str) -> None:
    """HD2."""
    body = problem(await client.get(PATH, headers={"Host": host}), 400, "untrusted_host")
    assert "evil" not in repr(body)


async def test_health_is_served_for_any_name(client: AsyncClient) -> None:
    """A probe calls an IP address; refused, it would take the process for dead."""
    response = await client.get("/health/live", headers={"Host": "10.1.2.3:8000"})
    assert response.status_code == 200


@pytest.mark.parametrize("path", ["/healthxyz", "/health/", "/health/../api/v1/items", "/HEALTH"])
async def test_no_other_path_is_served_for_any_name(client: AsyncClient, path: str) -> None:
    response = await client.get("/", headers={"Host": "evil.com"}, extensions={"target": path})
    problem(response, 400, "untrusted_host")


async def asked(app: FastAPI, path: str, hosts: list[str]) -> int:
    """Return the status of a request with these `Host` headers, which HTTP clients cannot send."""
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "query_string": b"",
        "headers": [(b"host", host.encode("latin-1")) for host in hosts],
        "client": ("127.0.0.1", 50_000),
    }
    statuses = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        statuses.extend([message["status"]] if "status" in message else [])

    await app(scope, receive, send)
    return int(statuses[0])


async def test_a_malformed_name_is_refused(app: FastAPI, subtests: pytest.Subtests) -> None:
    for host in MALFORMED:
        with subtests.test(host):
            assert await asked(app, PATH, [host]) == 400


async def test_a_request_names_one_host(app: FastAPI) -> None:
    """Proxies and servers would differ in which of two `Host` headers counts (RFC 9112 §3.2)."""
    for hosts in (["api.example.com"] * 2, ["api.example.com", "evil.com"], []):
        assert await asked(app, PATH, hosts) == 400
        assert await asked(app, "/health/live", hosts) == 200


@pytest.mark.settings(ALLOWED_HOSTS=[])
async def test_without_a_list_any_valid_name_is_served(
    app: FastAPI, client: AsyncClient, subtests: pytest.Subtests
) -> None:
    for host in ("evil.com", "a_b", "%61", "10.1.2.3", "[::1]:80", "[2001:db8::1]", "evil.com."):
        with subtests.test(host):
            problem(await client.get(PATH, headers={"Host": host}), 401, "unauthorized")
    for host in MALFORMED:
        with subtests.test(host):
            assert await asked(app, PATH, [host]) == 400


@pytest.mark.settings(ALLOWED_HOSTS=[])
async def test_without_a_list_a_request_needs_no_host(app: FastAPI) -> None:
    assert await asked(app, PATH, []) == 401
    assert await asked(app, PATH, ["a.example", "a.example"]) == 400
