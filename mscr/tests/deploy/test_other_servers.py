"""The application started by uvicorn's own command, without the server's settings and bounds."""

import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from mscr.testing.processes import free_port
from mscr.testing.valkey import ValkeyServer
from mscr.tests.deploy.test_restarts import database_url, production, server
from mscr.tests.support.paths import REPOSITORY

__all__ = ["database_url", "server"]

PATIENCE_SECONDS = 60

pytestmark = pytest.mark.long


class Uvicorn:
    def __init__(self, settings: dict[str, str], workers: int, log: Path) -> None:
        self.port = free_port()
        self._log = log
        command = [
            sys.executable,
            "-m",
            "uvicorn",
            "examples.catalogue.main:app",
            f"--port={self.port}",
        ]
        with log.open("wb") as output:
            self.process = subprocess.Popen(  # noqa: S603 - the test's own command
                [*command, f"--workers={workers}"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=REPOSITORY,
                env=settings,
            )

    @property
    def output(self) -> str:
        return self._log.read_text()

    def wait_until_it_serves(self) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                url = f"http://127.0.0.1:{self.port}/health/live"
                assert httpx2.get(url, trust_env=False).status_code == 200
            except httpx2.TransportError:
                assert self.process.poll() is None, self.output
                assert time.monotonic() < deadline, self.output
                time.sleep(0.05)
            else:
                return


@contextmanager
def uvicorn(settings: dict[str, str], tmp_path: Path, *, workers: int) -> Iterator[Uvicorn]:
    running = Uvicorn(settings, workers, tmp_path / "log")
    try:
        yield running
    finally:
        running.process.terminate()
        running.process.wait(PATIENCE_SECONDS)


def test_two_workers_of_uvicorn_do_not_start_with_sqlite(
    valkey: ValkeyServer, tmp_path: Path, sqlite_template: Path
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/{secrets.token_hex(4)}.db"
    settings = production(url, valkey)
    with uvicorn(settings, tmp_path, workers=2) as running:
        running.process.wait(PATIENCE_SECONDS)

    assert "Configuration error: SQLite serves one process" in running.output
    assert "Traceback" not in running.output


def test_two_workers_of_uvicorn_do_not_start_with_a_limiter_in_memory(
    database_url: str, valkey: ValkeyServer, tmp_path: Path
) -> None:
    settings = production(database_url, valkey)
    del settings["REDIS_URL"]
    with uvicorn(settings, tmp_path, workers=2) as running:
        running.process.wait(PATIENCE_SECONDS)

    assert "Configuration error: The rate limiter in memory serves one process" in running.output


def test_one_worker_of_uvicorn_logs_a_warning_and_no_query_of_a_handshake(
    database_url: str, valkey: ValkeyServer, tmp_path: Path
) -> None:
    settings = production(database_url, valkey, ACCESS_LOG="true")
    del settings["REDIS_URL"]
    handshake = (
        b"GET /ws?token=canary HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with uvicorn(settings, tmp_path, workers=1) as running:
        running.wait_until_it_serves()
        with socket.create_connection(("127.0.0.1", running.port)) as client:
            client.sendall(handshake)
            answer = client.recv(1000)

    assert b" 403 " in answer
    assert "started_by_another_server" in running.output
    assert '"path":"/ws"' in running.output
    assert "canary" not in running.output
