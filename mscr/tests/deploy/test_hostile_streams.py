"""Endless byte streams against `serve` are cut off and cost no memory."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from mscr.tests.support.command_line import Cli
from mscr.tests.support.serving import Serving, serving

MIB: Final = 1024 * 1024
# The capacity of both socket buffers, plus the bytes that are read after a refusal.
MOST_SENT: Final = 30 * MIB
MOST_GROWTH: Final = 16 * MIB
ENOUGH: Final = 200 * MIB
SECONDS: Final = 5

GET: Final = b"GET / HTTP/1.1\r\nHost: a\r\n"
POST: Final = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
CHUNKED: Final = POST + b"Transfer-Encoding: chunked\r\n\r\n"
BLOCK: Final = b"x" * 65_536
# The beginning, the part that is repeated, and the status of the response.
STREAMS: Final = {
    "header lines": (GET, b"X: aaaaaaaaaa\r\n" * 4000, 431),
    "one header": (GET + b"X: ", BLOCK, 431),
    "a target": (b"GET /", BLOCK, 414),
    "empty lines": (b"", b"\r\n" * 30_000, 431),
    "a body that is announced": (POST + b"Content-Length: 100000000000\r\n\r\n", BLOCK, 413),
    "a body in chunks": (CHUNKED, b"10000\r\n" + BLOCK + b"\r\n", 413),
    "the extension of a chunk": (CHUNKED + b"1;", BLOCK, 400),
    "trailers": (CHUNKED + b"0\r\n", b"X: aaaaaaaaaa\r\n" * 4000, 400),
    "pipelined requests": (b"", (GET + b"\r\n") * 3000, 404),
}

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Serving]:
    cli = Cli.migrated(tmp_path_factory.mktemp("hostile"), sqlite_template)
    with serving(cli, ACCESS_LOG="false") as server:
        yield server


def memory(running: Serving) -> int:
    status = Path(f"/proc/{running.process.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


def flood(running: Serving, beginning: bytes, again: bytes) -> tuple[int, bytes]:
    """Send an endless stream. Return the number of bytes sent and the beginning of the response."""
    port = int(running.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as client:
        sent, deadline = 0, time.monotonic() + SECONDS
        try:
            client.sendall(beginning)
            while sent < ENOUGH and time.monotonic() < deadline:
                sent += client.send(again)
        except (ConnectionError, TimeoutError):
            pass
        try:
            return sent, client.recv(200)
        except (ConnectionError, TimeoutError):
            return sent, b""


@pytest.mark.parametrize("name", STREAMS)
def test_an_endless_stream_is_cut_off_and_costs_no_memory(running: Serving, name: str) -> None:
    beginning, again, status = STREAMS[name]
    before = memory(running)

    sent, answer = flood(running, beginning, again)

    assert sent < MOST_SENT
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert memory(running) - before < MOST_GROWTH
    running.headers()
