"""The load: what it counts, and what it takes for a fault."""

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
from tests.support.callers import hang_up

# As wrk 4.1 prints it.
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
    """The port of a server that waits so long before its answers, and hangs up after the last."""
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


async def test_a_late_answer_counts_for_those_that_are_due_meanwhile() -> None:
    async with answering(0.2, 0, 0) as port, Connection(port) as connection:
        answers = await send_paced(connection, REQUEST, per_second=50, seconds=0.06)

    first, second, third = (answer.seconds for answer in answers)
    # Due after 20 and 40 ms, and sent after 200 at the earliest.
    assert first > 0.19
    assert second > 0.17
    assert third > 0.15


async def test_a_connection_that_breaks_is_no_answer_and_is_opened_anew() -> None:
    async with answering(0) as port, Connection(port) as connection:
        answers = [await connection.send(REQUEST) for _ in range(3)]

    assert [answer.status for answer in answers] == [200, 0, 200]
    assert answers[0].data == {}


async def test_nobody_to_connect_to_is_no_answer() -> None:
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


def test_the_figures_of_wrk_are_understood() -> None:
    assert wrk.read(WRK_OUTPUT) == Speed(262.64, 1150.0)


def test_failures_that_wrk_met_are_told() -> None:
    output = WRK_OUTPUT + "  Non-2xx or 3xx responses: 3\n  Socket errors: connect 0, read 2\n"

    failures = wrk.read(output).failures

    assert failures == "3 were no success; Socket errors: connect 0, read 2"


def test_what_was_shed_is_neither_speed_nor_failure() -> None:
    output = WRK_OUTPUT + "  Non-2xx or 3xx responses: 134\nShed: 134\n"

    speed = wrk.read(output)

    # A fourth of all.
    assert speed.per_second == pytest.approx(262.64 * 3 / 4)
    assert (speed.failures, speed.shed) == (None, 134)


def test_what_wrk_never_says_is_no_figure() -> None:
    with pytest.raises(RuntimeError, match="unable to connect"):
        wrk.read("unable to connect to 127.0.0.1:8000 Connection refused")


async def test_our_own_client_counts_what_is_no_success() -> None:
    async with answering(0) as port:
        speed = await measure_by_client(Load("/", "token", connections=1), port, seconds=0.1)

    assert speed.per_second > 0
    assert speed.failures is not None


@pytest.mark.parametrize(("may_be_shed", "failures"), [(True, False), (False, True)])
async def test_our_own_client_tells_what_was_shed_where_it_may_be(
    may_be_shed: bool, failures: bool
) -> None:
    load = Load("/", "token", connections=1, may_be_shed=may_be_shed)

    async with answering(*[0.0] * 10_000, by=SHED) as port:
        speed = await measure_by_client(load, port, seconds=0.05)

    assert (speed.failures is not None, speed.shed > 0) == (failures, may_be_shed)


async def test_each_request_can_have_a_connection_of_its_own() -> None:
    async with (
        answering(0, 0, 0) as port,
        Connection(port, keep_alive=False) as connection,
    ):
        statuses = [(await connection.send(REQUEST)).status for _ in range(5)]

    assert statuses == [200] * 5
