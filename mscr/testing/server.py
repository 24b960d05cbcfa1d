"""Base class of servers for tests, which can be restarted and are always removed at the end."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from mscr.testing.scratch import Account, ScratchDirectory

if TYPE_CHECKING:
    from types import TracebackType

START_TIMEOUT = timedelta(seconds=60)
STOP_TIMEOUT = timedelta(seconds=10)
POLL_INTERVAL = timedelta(milliseconds=5)


class ServerError(RuntimeError):
    """A server for tests is not available; the message has the reason and the remedy."""


class Server(ABC):
    """A context manager: a new server, or the external one that an environment variable names."""

    variable: ClassVar[str]

    def __init__(self) -> None:
        self.external_url = os.environ.get(self.variable) or None
        self.account = Account()
        self._scratch: ScratchDirectory | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_external(self) -> bool:
        """Return whether the server is external: then tests cannot stop or start it."""
        return self.external_url is not None

    def __enter__(self) -> Self:
        if self.is_external:
            return self
        try:
            self.prepare()
            self.start()
        except OSError as error:
            self.close()
            raise self.error(f"as {self.account}: {error}") from error
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start it and wait until it is ready; do nothing if it is running."""
        self._refuse_external()
        if self._process is None:
            self._process = self._launch(self.command())
            self._wait_until_ready(self._process)

    def stop(self) -> None:
        """Stop it and disconnect its clients; do nothing if it is stopped."""
        self._refuse_external()
        if self._process is not None:
            _end(self._process)
            self._process = None
            self.scratch.guard(None)

    def close(self) -> None:
        """Stop it for good and remove its directory."""
        if self._process is not None:
            self.stop()
        if self._scratch is not None:
            self._scratch.remove()
            self._scratch = None

    @abstractmethod
    def prepare(self) -> None:
        """Open the scratch directory, and create the files that the first start needs."""

    @abstractmethod
    def command(self) -> list[str]:
        """Return the command that runs the server in the foreground."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Return whether it accepts clients."""

    @property
    def scratch(self) -> ScratchDirectory:
        if self._scratch is None:
            raise self.error("it runs only within its `with` block.")
        return self._scratch

    def open_scratch(self, *, executable: bool = False) -> None:
        name = type(self).__name__.lower()
        self._scratch = ScratchDirectory(name, self.account, executable=executable)

    def run(self, command: list[str]) -> None:
        """Run a command in the scratch directory to its end."""
        process = self._launch(command)
        try:
            status = process.wait(START_TIMEOUT.total_seconds())
        finally:
            _end(process)
            self.scratch.guard(None)
        if status != 0:
            raise self.error(f"{command[0]} failed.\n{self._log_tail()}")

    def error(self, reason: str) -> ServerError:
        hint = f"Set {self.variable} to run the tests on a server of your own."
        return ServerError(f"{type(self).__name__}: {reason}\n{hint}")

    def _launch(self, command: list[str]) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            process = self.account.popen(command, cwd=self.scratch.path, log=log.fileno())
        self.scratch.guard(process.pid)
        return process

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT.total_seconds()
        while not self.is_ready():
            if process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise self.error(f"it did not start.\n{self._log_tail()}")
            time.sleep(POLL_INTERVAL.total_seconds())

    def _refuse_external(self) -> None:
        if self.is_external:
            raise ServerError(f"The server of {self.variable} is not ours to start or stop.")

    @property
    def _log(self) -> Path:
        return self.scratch.path / "server.log"

    def _log_tail(self) -> str:
        return self._log.read_text(errors="replace")[-2000:]


def wheel_directory(package: str) -> Path | None:
    """Return the folder of an installed package without importing it."""
    spec = importlib.util.find_spec(package)
    locations = spec.submodule_search_locations if spec else None
    return Path(locations[0]) if locations else None


def _end(process: subprocess.Popen[bytes]) -> None:
    # On SIGINT, PostgreSQL disconnects its clients; on SIGTERM it would wait for them.
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_TIMEOUT.total_seconds())
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
