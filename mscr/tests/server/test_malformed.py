"""Malformed requests, and requests that other parsers would read differently (smuggling)."""

import json

import pytest

from mscr.tests.server.serving import HOST, request, serving

CHUNKED = b"Transfer-Encoding: chunked"
CLOSE = b"Connection: close"

MALFORMED = {
    "Content-Length and Transfer-Encoding": request(
        b"POST /", b"Content-Length: 5", CHUNKED, body=b"0\r\n\r\n"
    ),
    "Transfer-Encoding and Content-Length": request(
        b"POST /", CHUNKED, b"Content-Length: 5", body=b"0\r\n\r\n"
    ),
    "two lengths": request(b"POST /", b"Content-Length: 5", b"Content-Length: 5", body=b"hello"),
    "a list of lengths": request(b"POST /", b"Content-Length: 5, 5", body=b"hello"),
    "a signed length": request(b"POST /", b"Content-Length: +5", body=b"hello"),
    "a negative length": request(b"POST /", b"Content-Length: -5", body=b"hello"),
    "a hexadecimal length": request(b"POST /", b"Content-Length: 0x5", body=b"hello"),
    "a length with an underscore": request(b"POST /", b"Content-Length: 1_0", body=b"hello"),
    "an empty length": request(b"POST /", b"Content-Length:", body=b"hello"),
    "a length of 20 digits": request(b"POST /", b"Content-Length: 99999999999999999999"),
    "chunked twice": request(b"POST /", CHUNKED, CHUNKED, body=b"0\r\n\r\n"),
    "chunked, then identity": request(
        b"POST /", CHUNKED, b"Transfer-Encoding: identity", body=b"0\r\n\r\n"
    ),
    "chunked, but not last": request(b"POST /", b"Transfer-Encoding: chunked, gzip"),
    "a coding in HTTP/1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a blank before the colon": request(b"POST /", b"Content-Length : 5", body=b"hello"),
    "a folded header": request(b"GET /", b"X: a\r\n b"),
    "a folded first header": b"GET / HTTP/1.1\r\n X: a\r\n" + HOST + b"\r\n",
    "a bare CR": request(b"GET /", b"X: a\rb"),
    "a bare LF": request(b"GET /", b"X: a\nY: b"),
    "NUL in a value": request(b"GET /", b"X: a\0b"),
    "NUL in a name": request(b"GET /", b"X\0: a"),
    "no colon": request(b"GET /", b"X"),
    "no name": request(b"GET /", b": a"),
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "two Hosts": request(b"GET /", b"Host: b"),
    "a Host with a path": b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "a Host with a user": b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
    "an unknown method": request(b"FETCH /"),
    "a tunnel": request(b"CONNECT a:443"),
    "an asterisk": request(b"GET *"),
    "a relative target": request(b"GET a"),
    "a target with a blank": request(b"GET /a b"),
    "a target in Latin-1": request(b"GET /\xe9"),
    "a target with a user": request(b"GET http://u@a/"),
    "a target of another scheme": request(b"GET ftp://a/"),
    "an absolute target in Latin-1": request(b"GET http://\xe9/"),
    "an absolute target with half a bracket": request(b"GET http://[/"),
    "an absolute target with a port of letters": request(b"GET http://a:b/"),
    "HTTP/2 without TLS": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a chunk of no number": request(b"POST /", CHUNKED, body=b"x\r\n"),
    "a signed chunk": request(b"POST /", CHUNKED, body=b"-3\r\nabc\r\n0\r\n\r\n"),
    "a chunk size of 17 digits": request(b"POST /", CHUNKED, body=b"fffffffffffffffff\r\n"),
    "a chunk longer than its size": request(b"POST /", CHUNKED, body=b"3\r\nabcd\r\n0\r\n\r\n"),
    "a chunk with bare LF": request(b"POST /", CHUNKED, body=b"3\nabc\n0\n\n"),
}
UNSUPPORTED = {
    "a coding that nobody reads": (501, request(b"POST /", b"Transfer-Encoding: gzip, chunked")),
    "HTTP/2.0 in text": (505, b"GET / HTTP/2.0\r\n" + HOST + b"\r\n"),
}


async def test_malformed_requests_get_400_and_the_connection_is_closed() -> None:
    async with serving() as server:
        # The bytes after it must not be read as a request: they may belong to the malformed one.
        smuggled = request(b"GET /smuggled")
        found = {name: await server.ask(sent + smuggled) for name, sent in MALFORMED.items()}

    assert found == {name: [400] for name in MALFORMED}


async def test_unsupported_requests_get_their_own_status() -> None:
    async with serving() as server:
        found = {name: await server.ask(sent) for name, (_, sent) in UNSUPPORTED.items()}

    assert found == {name: [status] for name, (status, _) in UNSUPPORTED.items()}


async def test_a_refusal_of_head_has_no_content() -> None:
    async with serving() as server, await server.connect() as client:
        await client.send(b"HEAD / HTTP/1.1\r\nHost: a/b\r\n\r\n")
        answer = await client.reader.read()

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.endswith(b"\r\n\r\n")


async def test_garbage_after_a_request_does_not_affect_its_response() -> None:
    async with serving() as server:
        assert await server.ask(request(b"GET /") + b"\x16\x03\x01") == [200]


async def test_an_absolute_target_overrides_the_host_header() -> None:
    async with serving() as server, await server.connect() as client:
        await client.send(request(b"GET http://b.example:8000/x?y=1"))
        _, _, content = await client.response()

    seen = json.loads(content)
    assert (seen["path"], seen["query"]) == ("/x", "y=1")
    assert seen["headers"] == [["host", "b.example:8000"]]


async def test_unusual_targets_are_parsed_as_in_rfc_9112() -> None:
    targets = {b"GET http://b": "/", b"OPTIONS *": "*", b"GET //b/c": "//b/c"}
    async with serving() as server, await server.connect() as client:
        for target, path in targets.items():
            await client.send(request(target))
            _, _, content = await client.response()
            assert json.loads(content)["path"] == path


async def test_http_1_0_needs_no_host() -> None:
    async with serving() as server:
        assert await server.ask(b"GET / HTTP/1.0\r\n\r\n") == [200]


async def test_trailers_do_not_become_headers_of_this_request_or_the_next() -> None:
    body = b"3\r\nabc\r\n0\r\nX-Forwarded-For: 203.0.113.9\r\nY: z\r\n\r\n"
    async with serving() as server, await server.connect() as client:
        await client.send(request(b"POST /", CHUNKED, body=body), request(b"GET /next"))
        first, second = [json.loads((await client.response())[2]) for _ in range(2)]

    assert first["headers"] == [["host", "a"], ["transfer-encoding", "chunked"]]
    assert first["length"] == 3
    assert second["headers"] == [["host", "a"]]


UPGRADES = {
    "WebSocket": b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "HTTP/2": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk",
}


@pytest.mark.parametrize("upgrade", [pytest.param(v, id=k) for k, v in UPGRADES.items()])
@pytest.mark.parametrize("split", [False, True])
async def test_an_upgrade_is_ignored_and_its_body_and_later_requests_are_read(
    upgrade: bytes, split: bool
) -> None:
    plain = request(b"GET /plain", upgrade)
    counted = request(b"POST /counted", upgrade, b"Content-Length: 5", body=b"hello")
    chunked = request(b"POST /chunked", upgrade, CHUNKED, body=b"3\r\nabc\r\n0\r\n\r\n")
    sent = plain + counted + chunked + request(b"GET /last", CLOSE)
    parts = [sent[i : i + 40] for i in range(0, len(sent), 40)] if split else [sent]
    async with serving() as server, await server.connect() as client:
        await client.send(*parts)
        seen = [json.loads((await client.response())[2]) for _ in range(4)]

    assert [(each["path"], each["length"]) for each in seen] == [
        ("/plain", 0),
        ("/counted", 5),
        ("/chunked", 3),
        ("/last", 0),
    ]
