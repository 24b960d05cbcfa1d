"""Bounds on bytes and counts of requests, enforced while the bytes arrive."""

import asyncio
import json
import socket

from mscr.server.limits import KIB, Limits
from mscr.server.refusal import Answer, Refusal
from mscr.tests.server.serving import HOST, Call, echo, request, serving

CHUNKED = b"Transfer-Encoding: chunked"
SMALL = Limits(head_bytes=1000, target_bytes=400, headers=20, chunk_overhead=500)


async def test_the_head_of_a_request_is_bounded_in_one_piece_or_several() -> None:
    heads = {
        "one long header": (431, request(b"GET /", b"X: " + b"a" * 1000)),
        "many headers": (431, request(b"GET /", *[b"X: a"] * 20)),
        "a long target": (414, request(b"GET /" + b"a" * 400)),
        "a target without end": (414, b"GET /" + b"a" * 1100),
        "a header without end": (431, b"GET / HTTP/1.1\r\nX: " + b"a" * 1000),
        "a name without end": (431, b"GET / HTTP/1.1\r\n" + b"a" * 1000),
        "headers without end": (431, b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 180),
        "empty lines without end": (431, b"\r\n" * 600),
    }
    async with serving(limits=SMALL) as server:
        whole = {name: await server.ask(head) for name, (_, head) in heads.items()}
        pieces = {
            name: await server.ask(*(head[i : i + 300] for i in range(0, len(head), 300)))
            for name, (_, head) in heads.items()
        }

    assert whole == pieces == {name: [status] for name, (status, _) in heads.items()}


async def test_a_head_just_within_its_bounds_is_served() -> None:
    headers = [b"X: " + b"a" * 20] * 18
    async with serving(limits=SMALL) as server:
        sent = request(b"GET /" + b"a" * 390, b"Connection: close", *headers)
        assert await server.ask(sent) == [200]


async def test_the_bounds_apply_to_each_request_of_a_connection() -> None:
    async with serving(limits=SMALL) as server:
        sent = [request(b"POST /", b"Content-Length: 600", body=b"x" * 600)] * 5
        assert await server.ask(*sent, request(b"GET /", b"Connection: close")) == [200] * 6


async def test_chunks_with_more_framing_than_content_are_refused() -> None:
    bodies = {
        "an extension without end": b"1;" + b"a" * 600,
        "an extension for each byte": (b"1;" + b"a" * 100 + b"\r\nx\r\n") * 10,
        "trailers without end": b"0\r\n" + b"X: a\r\n" * 100,
    }
    async with serving(limits=SMALL) as server:
        found = {
            name: await server.ask(request(b"POST /", CHUNKED), body)
            for name, body in bodies.items()
        }

    assert found == {name: [400] for name in bodies}


async def test_a_body_in_chunks_of_one_byte_is_served() -> None:
    async with serving(limits=SMALL) as server, await server.connect() as client:
        await client.send(request(b"POST /", CHUNKED), b"1\r\nx\r\n" * 1000, b"0\r\n\r\n")
        _, _, content = await client.response()

    assert json.loads(content)["length"] == 1000


async def test_pipelined_requests_are_answered_in_order_up_to_a_limit() -> None:
    async with serving(limits=Limits(pipelined=3)) as server, await server.connect() as client:
        await client.send(b"".join(request(b"GET /%d" % n) for n in range(50)))
        paths = [json.loads((await client.response())[2])["path"] for _ in range(4)]
        assert paths == ["/0", "/1", "/2", "/3"]
        assert await client.is_closed()


async def test_a_malformed_pipelined_request_is_answered_after_the_running_one() -> None:
    release = asyncio.Event()

    async def slow(call: Call) -> None:
        if call.scope["path"] == "/slow":
            await release.wait()
        await echo(call)

    async with serving(slow) as server, await server.connect() as client:
        await client.send(request(b"GET /slow") + request(b"POST /next", CHUNKED) + b"junk\r\n")
        # Later requests are neither read nor answered.
        await client.send(request(b"GET /more"))
        release.set()
        assert await client.statuses() == [200, 400]


async def test_a_malformed_body_is_400() -> None:
    async with serving() as server:
        assert await server.ask(request(b"POST /", CHUNKED), b"3\r\nabc\r\n", b"junk\r\n") == [400]


async def test_a_malformed_body_after_the_response_began_closes_the_connection() -> None:
    started = asyncio.Event()

    async def streaming(call: Call) -> None:
        await call.send({"type": "http.response.start", "status": 200, "headers": []})
        await call.send({"type": "http.response.body", "body": b"part", "more_body": True})
        started.set()
        await call.read()

    async with serving(streaming) as server, await server.connect() as client:
        await client.send(request(b"POST /", CHUNKED))
        await started.wait()
        await client.send(b"junk\r\n")
        received = await client.reader.read()

    assert received.count(b"HTTP/1.1 ") == 1
    # The last chunk is missing, so the client sees that the response is incomplete.
    assert received.endswith(b"4\r\npart\r\n")


async def test_connections_above_the_limit_get_503() -> None:
    async with serving(limits=Limits(connections=2)) as server:
        kept = [await server.connect() for _ in range(2)]
        for client in kept:
            await client.send(request(b"GET /"))
        assert await server.ask() == [503]
        for client in kept:
            assert (await client.response())[0] == 200
            client.writer.close()


async def test_bytes_after_too_many_requests_are_not_read() -> None:
    release = {b"/0": asyncio.Event(), b"/1": asyncio.Event()}

    async def slow(call: Call) -> None:
        await release[call.scope["raw_path"]].wait()
        await echo(call)

    async with (
        serving(slow, limits=Limits(pipelined=1)) as server,
        await server.connect() as client,
    ):
        await client.send(b"".join(request(b"GET /%d" % n) for n in range(3)), b"x" * 1000)
        release[b"/0"].set()
        assert (await client.response())[0] == 200
        await client.send(b"x" * 1000)
        release[b"/1"].set()
        assert await client.statuses() == [200]


# --- after a refusal


async def test_a_small_unwanted_body_is_read_and_the_connection_kept() -> None:
    async with serving() as server:
        refused = request(b"POST /early", b"Content-Length: 5")
        sent = (refused, b"hello", request(b"GET /", b"Connection: close"))
        assert await server.ask(*sent) == [413, 200]


async def test_a_client_that_is_still_sending_sees_the_refusal() -> None:
    body = b"x" * 3_000_000
    async with serving() as server, await server.connect() as client:
        # Like many clients, this one sends everything before it reads.
        await client.send(request(b"POST /early", b"Content-Length: %d" % len(body)), body)
        status, headers, _ = await client.response()
        assert (status, headers["connection"]) == (413, "close")
        assert await client.is_closed()


async def test_a_limited_number_of_bytes_is_read_after_a_refusal() -> None:
    limits = Limits(linger_bytes=100 * KIB)
    async with serving(limits=limits) as server:
        client = socket.create_connection(("127.0.0.1", server.port))
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(client, request(b"POST /early", CHUNKED))
        sent = 0
        try:
            while sent < 100_000_000:
                await loop.sock_sendall(client, b"10000\r\n" + b"x" * 65_536 + b"\r\n")
                sent += 65_536
        except ConnectionError:
            pass
        finally:
            client.close()

    # The rest is in the buffers of the two sockets.
    assert sent < 20_000_000


async def test_an_inactive_client_is_cut_off_after_a_refusal() -> None:
    limits = Limits(linger_seconds=0.1)
    async with serving(limits=limits) as server, await server.connect() as client:
        await client.send(request(b"POST /early", CHUNKED))
        assert (await client.response())[0] == 413
        await server.is_idle()


async def test_a_body_without_100_continue_is_not_waited_for() -> None:
    expecting = request(b"POST /early", b"Expect: 100-continue", b"Content-Length: 5")
    async with serving() as server:
        # The server sent no 100, so the next bytes may or may not be the body.
        assert await server.ask(expecting) == [413]


async def test_a_body_after_100_continue_keeps_the_connection() -> None:
    expecting = request(b"POST /", b"Expect: 100-continue", b"Content-Length: 5")
    async with serving() as server, await server.connect() as client:
        await client.send(expecting)
        assert (await client.response())[0] == 100
        await client.send(b"hello", request(b"GET /", b"Connection: close"))
        assert await client.statuses() == [200, 200]


# --- the shape of responses


async def test_responses_to_malformed_requests_come_from_the_given_function() -> None:
    def answer(refusal: Refusal) -> Answer:
        client = str(refusal.client).encode()
        return Answer([(b"x-client", client)], str(refusal.status.value).encode())

    async with serving(answer=answer) as server, await server.connect() as client:
        await client.send(b"GET / HTTP/1.1\r\n" + HOST + b"X\r\n\r\n")
        status, headers, content = await client.response()

    assert (status, content) == (400, b"400")
    assert headers["x-client"] == "127.0.0.1"
    assert headers["connection"] == "close"
    assert "date" in headers
