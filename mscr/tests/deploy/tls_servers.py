"""Servers with TLS: Debian's PostgreSQL, and HAProxy in front of a Valkey without TLS.

The packages of PostgreSQL and Valkey that the tests install are built without TLS.
"""

from __future__ import annotations

import shutil
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from mscr.testing.postgres import PostgresServer
from mscr.testing.processes import free_port
from mscr.testing.server import Server
from mscr.tests.deploy.programs import require

if TYPE_CHECKING:
    from mscr.testing.valkey import ValkeyServer

# Roles that require TLS, a certificate, or no TLS, and all other roles.
HBA: Final = """\
local   all all            trust
hostssl all tls  all       trust
hostssl all cert all       cert
host    all tls,cert all   reject
hostnossl all plain all    trust
host    all plain all      reject
host    all all  all       trust
"""

HAPROXY: Final = """\
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend tls
    bind 127.0.0.1:{port} ssl crt server.pem {options}
    default_backend valkey
backend valkey
    server one unix@{socket}
"""


class TlsPostgres(PostgresServer):
    """Debian's PostgreSQL on 127.0.0.1 with TLS. Skips the test where it is not installed."""

    # Never an external server: its certificates are under test.
    variable = "TEST_TLS_POSTGRES_IS_NEVER_EXTERNAL"

    def __init__(self, certificate: Path, key: Path, authority: Path) -> None:
        super().__init__()
        self.port = free_port()
        self._files = {"server.crt": certificate, "server.key": key, "ca.crt": authority}

    def tcp_url(self, user: str, host: str = "localhost") -> str:
        return f"postgresql://{user}@{host}:{self.port}/postgres"

    def prepare(self) -> None:
        super().prepare()
        data = self.scratch.path / "data"
        for name, file in self._files.items():
            shutil.copy(file, data / name)
        (data / "server.key").chmod(0o600)
        (data / "pg_hba.conf").write_text(HBA)
        self.account.take(data)

    def command(self) -> list[str]:
        files = ("ssl_cert_file=server.crt", "ssl_key_file=server.key", "ssl_ca_file=ca.crt")
        # The later of two values takes effect.
        place = (f"port={self.port}", "listen_addresses=127.0.0.1")
        settings = ("ssl=on", *files, *place)
        return [*super().command(), *(f"--{setting}" for setting in settings)]

    def is_ready(self) -> bool:
        command = [str(self._programs / "pg_isready"), "-h", "127.0.0.1", "-p", str(self.port)]
        return self.account.popen(command, cwd=self.scratch.path).wait() == 0

    def url(self, database: str) -> str:
        return f"postgresql+asyncpg://postgres@127.0.0.1:{self.port}/{database}"

    def _find_installation(self) -> Path:
        # Debian installs the server's programs outside the PATH.
        for program in sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), reverse=True):
            return program.parents[1]
        pytest.skip("PostgreSQL with TLS not found: apt-get install postgresql")


class TlsValkey(Server):
    """HAProxy that terminates TLS for a Valkey. The test is skipped where it is not installed."""

    variable = "TEST_TLS_VALKEY_IS_NEVER_EXTERNAL"

    def __init__(self, valkey: ValkeyServer, pem: bytes, *, authority: Path | None = None) -> None:
        super().__init__()
        self.port = free_port()
        self._socket = valkey.url.removeprefix("unix://").partition("?")[0]
        self._pem = pem
        self._authority = authority

    def prepare(self) -> None:
        self._program = require("haproxy")
        self.open_scratch()
        path = self.scratch.path
        (path / "server.pem").write_bytes(self._pem)
        options = ""
        if self._authority is not None:
            shutil.copy(self._authority, path / "ca.crt")
            options = "ca-file ca.crt verify required"
        text = HAPROXY.format(port=self.port, options=options, socket=self._socket)
        (path / "haproxy.cfg").write_text(text)

    def command(self) -> list[str]:
        return [str(self._program), "-db", "-f", "haproxy.cfg"]

    def is_ready(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
