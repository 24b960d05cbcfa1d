"""The application in separate processes, as in production: several at once, and killable."""

from __future__ import annotations

import os
import socket
import sys
import time
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from httpx2 import AsyncClient, AsyncHTTPTransport

from mscr.testing import warm_processes
from mscr.testing.scratch import Account, ScratchDirectory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mscr.project import Project

BASE_URL = "http://testserver"

START_TIMEOUT = timedelta(seconds=30)
STOP_TIMEOUT = timedelta(seconds=10)
POLL_INTERVAL = timedelta(milliseconds=20)


class AppProcess:
    """uvicorn on a unix socket, with the settings of the tests' environment and of `settings`.

    `close` stops it and removes its directory. Both also happen when the tests are killed.
    """

    def __init__(
        self,
        project: Project,
        database_url: str,
        *,
        app: str | None = None,
        cwd: Path | None = None,
        **settings: str,
    ) -> None:
        self._scratch = ScratchDirectory("app", Account())
        self.socket = str(self._scratch.path / "http.sock")
        self._log = self._scratch.path / "app.log"
        options = ["--uds", self.socket, "--no-access-log", "--log-level", "warning"]
        environment = {"DATABASE_URL": database_url, "ACCESS_LOG": "false", **settings}
        self._process = warm_processes.start(
            [sys.executable, "-m", "uvicorn", app or project.application, *options],
            os.environ | environment,
            cwd=cwd or project.import_root,
            streams=(Path(os.devnull), self._log, self._log),
        )
        self._scratch.guard(self.pid)

    @property
    def pid(self) -> int:
        assert self._process.pid is not None  # it was started
        return self._process.pid

    @property
    def log(self) -> str:
        """Return its output so far."""
        return self._log.read_text(errors="replace")

    def client(self) -> AsyncClient:
        # Tests check the response, not how fast it is on a busy machine.
        transport = AsyncHTTPTransport(uds=self.socket)
        return AsyncClient(transport=transport, base_url=BASE_URL, timeout=60)

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT.total_seconds()
        while not _is_live(self.socket):
            if not self._process.is_alive() or time.monotonic() > deadline:
                raise RuntimeError(f"the application did not start:\n{self.log[-2000:]}")
            time.sleep(POLL_INTERVAL.total_seconds())

    def wait_until_gone(self) -> int:
        """Wait for its end and return its exit status, or minus the number of a fatal signal."""
        self._process.join(STOP_TIMEOUT.total_seconds())
        if self._process.exitcode is None:
            raise TimeoutError("the application goes on")
        return self._process.exitcode

    def stop(self) -> int:
        """Send SIGTERM, as a deployment does, and kill it if it does not end in time."""
        self._process.terminate()
        try:
            return self.wait_until_gone()
        except TimeoutError:
            return self.kill()

    def kill(self) -> int:
        """Send SIGKILL, as the out-of-memory killer does: it cannot clean up."""
        self._process.kill()
        return self.wait_until_gone()

    def close(self) -> None:
        self.stop()
        self._scratch.guard(None)
        self._scratch.remove()


@contextmanager
def app_processes(
    project: Project,
    count: int,
    database_url: str,
    *,
    app: str | None = None,
    cwd: Path | None = None,
    **settings: str,
) -> Iterator[list[AppProcess]]:
    """Run several processes on one database, all of them ready.

    They import `app` (default: the project's application) in `cwd` (default: its import root).
    """
    with ExitStack() as stack:
        # Start all of them before waiting for the first.
        processes = [
            stack.enter_context(
                closing(AppProcess(project, database_url, app=app, cwd=cwd, **settings))
            )
            for _ in range(count)
        ]
        for process in processes:
            process.wait_until_ready()
        yield processes


def free_port() -> int:
    """Return a TCP port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_live(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1)
        try:
            connection.connect(path)
            connection.sendall(b"GET /health/live HTTP/1.0\r\n\r\n")
            return connection.recv(64).startswith(b"HTTP/1.1 200")
        except OSError:
            return False
