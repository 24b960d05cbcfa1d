"""A real PgBouncer in front of the tests' PostgreSQL."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

from sqlalchemy import make_url

from mscr.testing.postgres import PORT, PostgresServer
from mscr.testing.server import Server
from mscr.tests.deploy.programs import require

if TYPE_CHECKING:
    from pathlib import Path

# PgBouncer puts the port into its socket's name too.
LISTEN_PORT: Final = "6432"
# Each database has so few server connections that clients share them all the time.
DEFAULTS: Final = {
    "auth_type": "any",
    "default_pool_size": "4",
    "max_client_conn": "500",
    "ignore_startup_parameters": "extra_float_digits",
    "server_round_robin": "0",
    "query_wait_timeout": "20",
    "logfile": "",
}


class PgBouncer(Server):
    """Debian's PgBouncer with its own ini file. Keyword arguments are PgBouncer's settings."""

    variable = "TEST_PGBOUNCER_URL"

    def __init__(self, postgres: PostgresServer, pool_mode: str, **settings: str) -> None:
        super().__init__()
        self.external_url = None
        self.account = postgres.account
        self._program = require("pgbouncer")
        self._postgres = postgres
        self.settings = DEFAULTS | {"pool_mode": pool_mode} | settings

    def url(self, database: str) -> str:
        """Return the URL of a database, through the pooler."""
        query = f"host={self.scratch.path}&port={LISTEN_PORT}"
        return f"postgresql+asyncpg://postgres@localhost/{database}?{query}"

    def in_front_of(self, url: str) -> str:
        """Return the URL of the same database, through the pooler."""
        return self.url(make_url(url).database or "")

    def stop(self) -> None:
        # On SIGINT alone, PgBouncer would wait for its clients.
        if self._process is not None:
            self._process.terminate()
        super().stop()

    def prepare(self) -> None:
        self.open_scratch()
        place = self.scratch.path
        settings = self.settings | {
            "listen_addr": "",
            "listen_port": LISTEN_PORT,
            "unix_socket_dir": str(place),
        }
        lines = [f"{name} = {value}" for name, value in settings.items()]
        databases = f"* = host={self._postgres.scratch.path} port={PORT} user=postgres"
        ini = "\n".join(["[databases]", databases, "[pgbouncer]", *lines, ""])
        self._ini.write_text(ini)
        self.account.take(self._ini)

    def command(self) -> list[str]:
        return [str(self._program), str(self._ini)]

    def is_ready(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                connection.connect(str(self.scratch.path / f".s.PGSQL.{LISTEN_PORT}"))
            except OSError:
                return False
            return True

    @property
    def _ini(self) -> Path:
        return self.scratch.path / "pgbouncer.ini"
