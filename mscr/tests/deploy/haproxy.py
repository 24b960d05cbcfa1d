"""A real HAProxy in front of the application, configured by the test."""

from __future__ import annotations

import socket
from typing import Final

from mscr.testing.server import Server, ServerError
from mscr.tests.deploy.nginx import unprivileged
from mscr.tests.deploy.programs import require

NAME: Final = "haproxy.cfg"


class HAProxy(Server):
    """HAProxy on a port of the loopback interface. Skips the test where it is not installed."""

    # Never an external server: its configuration is under test.
    variable = "TEST_HAPROXY_IS_NEVER_EXTERNAL"

    def __init__(self, configuration: str, *, port: int) -> None:
        super().__init__()
        self.port = port
        self._configuration = configuration

    def prepare(self) -> None:
        self._program = require("haproxy")
        self.account = unprivileged()
        self.open_scratch()
        (self.scratch.path / NAME).write_text(self._configuration)
        self.account.take(self.scratch.path)

    def command(self) -> list[str]:
        # In the foreground, without a master process.
        return [str(self._program), "-db", "-f", str(self.scratch.path / NAME)]

    def is_ready(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def error(self, reason: str) -> ServerError:
        return ServerError(f"HAProxy: {reason}")
