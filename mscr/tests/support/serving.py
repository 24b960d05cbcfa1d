"""The command `serve` of the catalogue, and `dev`, as tests run them."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import httpx2

from mscr.testing.processes import free_port
from mscr.tests.support.command_line import Cli
from mscr.tests.support.paths import REPOSITORY

START_TIMEOUT_SECONDS = 60
STOP_TIMEOUT_SECONDS = 30


class Serving:
    """A serving command, from its first response until it ends."""

    def __init__(self, cli: Cli, *arguments: str, port: int, **settings: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._log = cli.env_file.with_name(f"output-{port}.log")
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                cli.command(*arguments),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=REPOSITORY,
                env=cli.environment(**settings),
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        self.wait_until(self._answers)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.stop()

    def wait_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not condition():
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.05)

    def stop(self) -> int:
        """Interrupt the command's process alone, and return its exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(STOP_TIMEOUT_SECONDS)

    def kill(self) -> None:
        """Kill the process, if it still runs."""
        self.process.kill()
        self.process.wait()

    def headers(self, **request_headers: str) -> httpx2.Headers:
        """Send a request with these headers, and return the response headers."""
        url = f"{self.url}/health/live"
        return httpx2.get(url, headers=request_headers, trust_env=False).headers

    def interrupt_all(self) -> int:
        """Interrupt the whole process group, like Ctrl-C in a terminal. Return the exit status."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(STOP_TIMEOUT_SECONDS)

    @property
    def output(self) -> str:
        return self._log.read_text()

    def _answers(self) -> bool:
        try:
            self.headers()
        except httpx2.TransportError:
            return False
        return True


@contextmanager
def taken_port() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


def serving(cli: Cli, **settings: str) -> Serving:
    port = free_port()
    return Serving(cli, "serve", port=port, PORT=str(port), LOG_JSON="true", **settings)


def clients_in(output: str) -> list[str]:
    """Return the client addresses in the access log of requests with forwarded headers."""
    lines = [json.loads(line) for line in output.splitlines()]
    return [line["client"] for line in lines if line.get("request_id") == "forwarded-one"]
