"""Bounds on time: slow clients, idle clients, and clients that do not read."""

import asyncio

import pytest

from mscr.server.limits import Limits
from mscr.tests.server.serving import Call, echo, request, serving

QUICK = Limits(head_seconds=0.2, body_seconds=0.2, write_seconds=0.2, bytes_per_second=100)
CHUNKED = b"Transfer-Encoding: chunked"


async def test_a_head_that_does_not_arrive_in_time_gets_408() -> None:
    async with serving(limits=QUICK) as server:
        whole = request(b"GET /", b"Connection: close")
        heads = {
            "half a line": [b"GE"],
            "a byte at a time": [bytes([byte]) for byte in whole[:40]],
            "empty lines": [b"\r\n"],
            "the next request": [request(b"GET /") + b"GET"],
        }
        found = {name: await server.ask(*parts) for name, parts in heads.items()}

    assert found == {**{name: [408] for name in heads}, "the next request": [200, 408]}


async def test_bytes_after_a_refusal_cause_no_second_refusal(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving(limits=QUICK) as server, await server.connect() as client:
        await client.send(b"GE")
        assert (await client.response())[0] == 408
        for _ in range(6):
            await client.send(b"T")
            await asyncio.sleep(QUICK.head_seconds / 4)

    # Another test may have left the level of uvicorn's logger at INFO.
    assert [each for each in caplog.records if each.levelname != "INFO"] == []


async def test_a_stalled_body_gets_408_and_the_application_a_disconnect() -> None:
    gone = asyncio.Event()

    async def reading(call: Call) -> None:
        assert await call.read() is None
        gone.set()

    async with serving(reading, limits=QUICK) as server:
        assert await server.ask(request(b"POST /", b"Content-Length: 5"), b"he") == [408]
        async with asyncio.timeout(5):
            await gone.wait()


async def test_a_slow_body_is_served() -> None:
    async with serving(limits=QUICK) as server:
        head = request(b"POST /", b"Content-Length: 600", b"Connection: close")
        parts = [b"x" * 10] * 60
        assert await server.ask(head, *parts) == [200]


async def test_a_body_that_the_application_reads_late_does_not_time_out() -> None:
    async def late(call: Call) -> None:
        await asyncio.sleep(0.5)
        await echo(call)

    async with serving(late, limits=QUICK) as server:
        expecting = request(b"POST /", b"Expect: 100-continue", b"Content-Length: 5")
        async with await server.connect() as client:
            await client.send(expecting)
            assert (await client.response())[0] == 100
            await client.send(b"hello")
            assert (await client.response())[0] == 200


async def test_a_stalled_unwanted_body_closes_the_connection_without_a_second_response() -> None:
    async with serving(limits=QUICK) as server:
        assert await server.ask(request(b"POST /early", b"Content-Length: 5"), b"he") == [413]


async def test_idle_connections_are_closed_after_the_keep_alive_time() -> None:
    async with serving(keep_alive=0.2) as server:
        assert await server.ask(request(b"GET /")) == [200]
        # A connection that sends nothing gets no response.
        assert await server.ask() == []


async def test_a_client_that_does_not_read_is_cut_off_and_its_request_cancelled() -> None:
    ended = asyncio.Event()

    async def endless(call: Call) -> None:
        await call.send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            for _ in range(1000):
                part = {"type": "http.response.body", "body": b"x" * 65_536, "more_body": True}
                await call.send(part)
        finally:
            ended.set()

    async with serving(endless, limits=QUICK) as server, await server.connect() as client:
        await client.send(request(b"GET /"))
        async with asyncio.timeout(5):
            await ended.wait()
        await server.is_idle()


async def test_a_client_that_reads_slowly_gets_everything() -> None:
    size = 8_000_000

    async def large(call: Call) -> None:
        await call.answer(200, b"x" * size)

    async with (
        serving(large, limits=QUICK) as server,
        await server.connect_with_small_buffers() as client,
    ):
        # The first response ends with an empty buffer. The next one is still sent when the server
        # closes.
        await client.send(request(b"GET /"))
        await client.reader.readuntil(b"\r\n\r\n")
        await client.reader.readexactly(size)
        await client.send(request(b"GET /", b"Connection: close"))
        received = 0
        while part := await client.reader.read(400_000):
            received += len(part)
            await asyncio.sleep(0.02)

    assert received > size


async def test_a_large_refusal_reaches_a_client_that_is_still_sending() -> None:
    size = 8_000_000

    async def early(call: Call) -> None:
        await call.answer(413, b"x" * size)

    limits = Limits(linger_seconds=0.05, write_seconds=0.2, bytes_per_second=100)
    async with (
        serving(early, limits=limits) as server,
        await server.connect_with_small_buffers() as client,
    ):
        await client.send(request(b"POST /", CHUNKED))
        received = 0
        while part := await client.reader.read(400_000):
            received += len(part)
            await asyncio.sleep(0.02)

    assert received > size


async def test_a_client_that_stays_after_a_large_refusal_is_cut_off() -> None:
    size = 2_000_000

    async def early(call: Call) -> None:
        await call.answer(413, b"x" * size)

    limits = Limits(linger_seconds=0.05, write_seconds=0.5, bytes_per_second=100)
    async with (
        serving(early, limits=limits) as server,
        await server.connect_with_small_buffers() as client,
    ):
        await client.send(request(b"POST /", CHUNKED))
        # Lingering ends while most of the response is unsent. Then the client reads everything, and
        # neither closes nor sends.
        await asyncio.sleep(0.1)
        received = 0
        while part := await client.reader.read(400_000):
            received += len(part)
        await server.is_idle()

    assert received > size
