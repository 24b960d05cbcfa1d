"""A real HAProxy in front of the application, with a configuration of the test's own."""

from __future__ import annotations

import socket
from typing import Final

from tests.deploy.nginx import unprivileged
from tests.deploy.programs import require
from tests.support.server import Server, ServerError

DEFAULTS: Final = """\
global
    maxconn 256
defaults
    mode http
    timeout connect 2s
    timeout client 60s
    timeout server 60s
"""


class HAProxy(Server):
    """HAProxy on a port of the loopback. `sections` are its frontends and backends.

    Skips the test where HAProxy is not installed.
    """

    # No test is run on somebody else's: its configuration is the subject.
    variable = "TEST_HAPROXY_IS_NEVER_EXTERNAL"

    def __init__(self, sections: str, *, port: int) -> None:
        super().__init__()
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._sections = sections

    def prepare(self) -> None:
        self._program = require("haproxy")
        self.account = unprivileged()
        self.open_scratch()
        (self.scratch.path / "haproxy.cfg").write_text(f"{DEFAULTS}{self._sections}\n")
        self.account.take(self.scratch.path)

    def command(self) -> list[str]:
        return [str(self._program), "-db", "-f", "haproxy.cfg"]

    def is_ready(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def error(self, reason: str) -> ServerError:
        return ServerError(f"HAProxy: {reason}")
