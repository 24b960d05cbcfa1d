"""The application, served by its own command on a temporary database."""

import json
import os
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

import httpx2

from examples.catalogue.core.config import Settings
from mscr.testing.processes import free_port
from mscr.tests.support.paths import CLI, REPOSITORY

START_TIMEOUT: Final = timedelta(seconds=60)
POLL_INTERVAL: Final = timedelta(milliseconds=50)


class Served:
    """The command `serve` on loopback, reached as `localhost`, which browsers trust without TLS."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.url = f"http://localhost:{port}"
        self._process = process
        self._log = log

    def is_up(self) -> bool:
        try:
            return httpx2.get(f"{self.url}/health/live", trust_env=False).is_success
        except httpx2.TransportError:
            return False

    def answered(self, path: str, status: int) -> int:
        """Return how many requests for this path got this status, according to the access log."""
        lines = [json.loads(line) for line in self._log.read_text().splitlines()]
        return [(line.get("path"), line.get("status")) for line in lines].count((path, status))

    def wait_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_TIMEOUT.total_seconds()
        while not condition():
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(POLL_INTERVAL.total_seconds())


@contextmanager
def serving(database: Path, **settings: str) -> Iterator[Served]:
    port = free_port()
    outside = {k: v for k, v in os.environ.items() if k not in {*Settings.model_fields, "ENV_FILE"}}
    own = {
        "ENV_FILE": os.devnull,
        "DATABASE_URL": f"sqlite+aiosqlite:///{database}",
        "SECRET_KEY": secrets.token_hex(32),
        "JWT_SECRET_KEY": secrets.token_hex(32),
        "LOG_JSON": "true",
        "PORT": str(port),
    }
    log = database.with_name("server.log")
    with (
        log.open("wb") as output,
        subprocess.Popen(  # noqa: S603 - our own command
            [*CLI, "serve"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=REPOSITORY,
            env=outside | own | settings,
        ) as process,
    ):
        try:
            served = Served(process, port, log)
            served.wait_until(served.is_up)
            yield served
        finally:
            process.terminate()
