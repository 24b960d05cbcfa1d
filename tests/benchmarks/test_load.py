"""The load generators of the benchmarks: which responses they count, and as failures."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from benchmarks import wrk
from benchmarks.client import Connection, encode
from benchmarks.load import Load, Speed, measure_by_client
from benchmarks.pacing import send_paced
from benchmarks.report import percentile
from benchmarks.rotation import Rotation, Rows
from benchmarks.rotation import broken_promises as broken_by_rotation
from benchmarks.storm_report import broken_promises as broken_by_storm
from mscr.testing.callers import hang_up

# The output format of wrk 4.1.
WRK_OUTPUT = """Running 2s test @ http://127.0.0.1:8000/api/v1/items
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    60.05ms   14.40ms 159.15ms   82.84%
  Latency Distribution
     50%   55.75ms
     99%    1.15s
  536 requests in 2.04s, 396.78KB read
Requests/sec:    262.64
"""
REQUEST = encode("GET", "/")
SHED = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"data":{}}'


@asynccontextmanager
async def answering(*pauses: float, by: bytes = ANSWER) -> AsyncIterator[int]:
    """Yield the port of a server that pauses before each response and closes after the last."""
    opened: list[asyncio.StreamWriter] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            for pause in pauses:
                await reader.readuntil(b"\r\n\r\n")
                await asyncio.sleep(pause)
                writer.write(by)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
    for writer in opened:
        await hang_up(writer)


async def test_latency_is_measured_from_the_time_a_request_was_due() -> None:
    async with answering(0.2, 0, 0) as port, Connection(port) as connection:
        answers = await send_paced(connection, REQUEST, per_second=50, seconds=0.06)

    first, second, third = (answer.seconds for answer in answers)
    # These were due after 20 and 40 ms, but sent after 200 ms at the earliest.
    assert first > 0.19
    assert second > 0.17
    assert third > 0.15


async def test_a_broken_connection_counts_as_no_response_and_is_reopened() -> None:
    async with answering(0) as port, Connection(port) as connection:
        answers = [await connection.send(REQUEST) for _ in range(3)]

    assert [answer.status for answer in answers] == [200, 0, 200]
    assert answers[0].data == {}


async def test_a_refused_connection_counts_as_no_response() -> None:
    async with answering() as port:
        pass

    async with Connection(port) as connection:
        assert (await connection.send(REQUEST)).status == 0


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.99, 99), (1, 100)])
def test_percentile_is_the_nearest_rank(share: float, value: int) -> None:
    assert percentile(range(100, 0, -1), share) == value


def test_a_storm_may_shed_logins_and_nothing_else() -> None:
    kept = broken_by_storm(Counter({200: 5}), Counter({200: 5, 503: 5}))
    broken = broken_by_storm(Counter({200: 5, 503: 1}), Counter({200: 5, 0: 2}))

    assert kept == []
    assert broken == ["1 reads were answered with 503", "2 logins were answered with nothing"]


def test_a_rotation_may_neither_fail_nor_leave_rows() -> None:
    done = Rotation(deque(["token"]), remaining=0)
    failed = Rotation(deque(), remaining=3, failures=1)

    assert broken_by_rotation(done, Rows(before=5, after=5)) == []
    assert len(broken_by_rotation(failed, Rows(before=5, after=6))) == 2


def test_the_figures_of_wrk_are_parsed() -> None:
    assert wrk.read(WRK_OUTPUT) == Speed(262.64, 1150.0)


def test_failures_in_the_output_of_wrk_are_reported() -> None:
    output = WRK_OUTPUT + "  Non-2xx or 3xx responses: 3\n  Socket errors: connect 0, read 2\n"

    failures = wrk.read(output).failures

    assert failures == "3 were no success; Socket errors: connect 0, read 2"


def test_shed_requests_count_neither_as_throughput_nor_as_failures() -> None:
    output = WRK_OUTPUT + "  Non-2xx or 3xx responses: 134\nShed: 134\n"

    speed = wrk.read(output)

    # A quarter of the responses was shed.
    assert speed.per_second == pytest.approx(262.64 * 3 / 4)
    assert (speed.failures, speed.shed) == (None, 134)


def test_unexpected_output_of_wrk_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="unable to connect"):
        wrk.read("unable to connect to 127.0.0.1:8000 Connection refused")


async def test_the_builtin_client_counts_failures() -> None:
    async with answering(0) as port:
        speed = await measure_by_client(Load("/", "token", connections=1), port, seconds=0.1)

    assert speed.per_second > 0
    assert speed.failures is not None


@pytest.mark.parametrize(("may_be_shed", "failures"), [(True, False), (False, True)])
async def test_the_builtin_client_counts_shed_requests_only_where_allowed(
    may_be_shed: bool, failures: bool
) -> None:
    load = Load("/", "token", connections=1, may_be_shed=may_be_shed)

    async with answering(*[0.0] * 10_000, by=SHED) as port:
        speed = await measure_by_client(load, port, seconds=0.05)

    assert (speed.failures is not None, speed.shed > 0) == (failures, may_be_shed)


async def test_each_request_can_use_a_new_connection() -> None:
    async with (
        answering(0, 0, 0) as port,
        Connection(port, keep_alive=False) as connection,
    ):
        statuses = [(await connection.send(REQUEST)).status for _ in range(5)]

    assert statuses == [200] * 5
