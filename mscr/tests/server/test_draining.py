"""Draining: a stopping server loses no request that has reached it."""

import asyncio
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from uvicorn import Config

from mscr.server import backlog
from mscr.server.draining import DrainingServer, stop_on_hangup
from mscr.server.limits import Limits
from mscr.server.status import ServerStatus, find_status
from mscr.server.workers import Worker
from mscr.tests.server.serving import Call, Running, echo, request, serving

CHUNKED = b"Transfer-Encoding: chunked"


def stop(server: Running) -> None:
    """Stop the server as a signal would. A real signal would stop the tests too."""
    server.server.status.is_draining = True
    server.server.should_exit = True


async def draining(server: Running) -> None:
    stop(server)
    state: Any = server.server.server_state
    while not state.is_draining:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.005)


async def test_while_draining_requests_are_served_and_their_connections_closed() -> None:
    async with serving(drain=0.5) as server:
        idle, unused, begun = [await server.connect() for _ in range(3)]
        for client in (idle, unused):
            await client.send(request(b"GET /"))
            assert (await client.response())[1].get("connection") is None
        await begun.send(request(b"POST /", b"Content-Length: 5"))
        await draining(server)
        await begun.send(b"hello")
        await idle.send(request(b"GET /"))
        new = await server.connect()
        await new.send(request(b"GET /"))
        for client in (idle, begun, new):
            status, headers, _ = await client.response()
            assert (status, headers["connection"]) == (200, "close")
            assert await client.is_closed()
            client.writer.close()
        assert await unused.is_closed()
        unused.writer.close()


async def test_the_application_sees_at_once_that_the_server_drains() -> None:
    seen: list[bool] = []

    async def look(call: Call) -> None:
        status = find_status(call.scope)
        assert status is not None
        seen.append(status.is_draining)
        await call.answer(200, b"")

    async with serving(look, drain=0.2) as server, await server.connect() as client:
        await client.send(request(b"GET /"))
        await client.response()
        stop(server)
        await client.send(request(b"GET /"))
        await client.response()

    assert seen == [False, True]


def connect_until_nobody_listens(port: int) -> list[bytes]:
    """Return the first line of the response on each connection that was established."""
    clients = []
    with suppress(TimeoutError, ConnectionRefusedError):
        for _ in range(1000):
            client = socket.create_connection(("127.0.0.1", port), timeout=0.3)
            clients.append(client)
            client.sendall(request(b"GET /"))
            # As fast as the server accepts connections, until after it has closed the port.
            time.sleep(0.0005)
    answers = []
    for client in clients:
        client.settimeout(10)
        with suppress(ConnectionError):
            answers.append(client.recv(15))
        client.close()
    assert len(answers) == len(clients), f"{len(clients) - len(answers)} were reset"
    return answers


async def test_every_connection_made_before_the_port_closed_is_served() -> None:
    async with serving() as server:
        storm = asyncio.create_task(asyncio.to_thread(connect_until_nobody_listens, server.port))
        await asyncio.sleep(0.05)
        stop(server)
        answers = await storm

    assert set(answers) == {b"HTTP/1.1 200 OK"}


async def test_connections_in_the_backlog_of_a_closing_port_are_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clients: list[socket.socket] = []

    async with serving() as server:

        async def connect(_seconds: float) -> None:
            # At the end of the drain, without giving the event loop a turn to accept them.
            for _ in range(20):
                client = socket.create_connection(("127.0.0.1", server.port))
                client.sendall(request(b"GET /"))
                clients.append(client)

        monkeypatch.setattr(server.server, "_serve_on", connect)

    answers = [client.recv(15) for client in clients]
    for client in clients:
        client.close()
    assert answers == [b"HTTP/1.1 200 OK"] * 20


async def test_a_request_in_flight_is_finished_after_the_port_is_closed() -> None:
    release = asyncio.Event()

    async def slow(call: Call) -> None:
        await release.wait()
        await echo(call)

    async with serving(slow) as server, await server.connect() as client:
        await client.send(request(b"GET /"))
        stop(server)
        await _refusal(server)
        release.set()
        assert await client.statuses() == [200]


async def test_lingering_and_incomplete_requests_do_not_delay_shutdown() -> None:
    began = time.monotonic()
    limits = Limits(linger_seconds=0.2)
    async with serving(limits=limits, grace=1) as server:
        lingering, partial, silent = [await server.connect() for _ in range(3)]
        await lingering.send(request(b"POST /early", CHUNKED))
        await partial.send(b"GET")
        await silent.send()
    for client in (lingering, partial, silent):
        client.writer.close()

    assert time.monotonic() - began < 5


async def test_a_second_interrupt_cuts_the_drain_short() -> None:
    began = time.monotonic()
    async with serving(drain=30) as server:
        await draining(server)
        server.server.handle_exit(signal.SIGTERM, None)

    assert time.monotonic() - began < 10
    assert not server.server.force_exit


@pytest.mark.parametrize(
    ("signals", "hurried", "forced"),
    [
        ([signal.SIGTERM, signal.SIGTERM], False, False),
        ([signal.SIGTERM, signal.SIGINT], True, False),
        ([signal.SIGTERM, signal.SIGINT, signal.SIGINT], True, True),
    ],
)
def test_a_worker_ignores_a_second_sigterm(
    signals: list[signal.Signals], hurried: bool, forced: bool
) -> None:
    worker = DrainingServer(config(), drain_seconds=30, is_worker=True)
    for each in signals:
        worker.handle_exit(each, None)

    assert worker.status.is_draining
    assert (worker._is_hurried, worker.force_exit) == (hurried, forced)


async def test_a_worker_leaves_the_port_to_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mscr.server.draining.BACKLOG_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        worker = DrainingServer(config(), drain_seconds=0, is_worker=True)
        await worker._empty_backlog([listener])
        with socket.create_connection(listener.getsockname(), timeout=1):
            # Nobody accepts this connection, and shutdown does not wait for it.
            await worker._empty_backlog([listener])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a Linux socket filter")
def test_a_filtered_port_drops_new_connections_and_keeps_the_backlog() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        queued = socket.create_connection(listener.getsockname())
        backlog.refuse_new([listener])
        with pytest.raises(TimeoutError):
            socket.create_connection(listener.getsockname(), timeout=0.1)
        assert backlog.is_waiting([listener])
        accepted, _ = listener.accept()
        queued.sendall(b"still there")
        assert accepted.recv(20) == b"still there"
        accepted.close()
        queued.close()


def test_the_process_of_a_worker_serves_with_a_draining_server() -> None:
    worker = Worker(config(), [], 5)

    assert isinstance(worker.server, DrainingServer)
    assert worker.server is worker.server
    worker.parent_conn.close()
    worker.child_conn.close()


@pytest.mark.skipif(sys.platform == "win32", reason="needs Unix sockets")
def test_a_unix_socket_has_no_filter(tmp_path: Path) -> None:
    path = str(tmp_path / "server.sock")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(path)
        listener.listen()
        backlog.refuse_new([listener])
        client.connect(path)


def test_other_systems_have_no_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        backlog.refuse_new([listener])
        socket.create_connection(listener.getsockname(), timeout=1).close()


def test_other_servers_have_no_status() -> None:
    assert find_status({"type": "http"}) is None
    assert find_status({"state": {"server_status": ServerStatus(is_draining=True)}}) is not None


async def _refusal(server: Running) -> None:
    """Wait until nothing listens on the port."""
    with suppress(ConnectionRefusedError):
        async with asyncio.timeout(10):
            while True:
                (await server.connect()).writer.close()
                await asyncio.sleep(0.02)


def config() -> Config:
    return Config("nowhere:app", log_config=None)


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_a_hangup_stops_like_sigterm_unless_it_is_ignored() -> None:
    received: list[int] = []
    before = {each: signal.getsignal(each) for each in (signal.SIGHUP, signal.SIGTERM)}
    signal.signal(signal.SIGTERM, lambda number, _: received.append(number))
    try:
        for handler in (signal.SIG_IGN, signal.SIG_DFL):
            signal.signal(signal.SIGHUP, handler)
            stop_on_hangup()
            signal.raise_signal(signal.SIGHUP)
            assert received == ([signal.SIGTERM] if handler is signal.SIG_DFL else [])
    finally:
        for each, previous in before.items():
            signal.signal(each, previous)
