"""The catalogue's commands, as tests run them."""

import json
import os
import secrets
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from examples.catalogue.cli import app
from examples.catalogue.core.config import Settings
from examples.catalogue.project import project
from mscr.testing import warm_processes
from mscr.tests.support.paths import CLI, REPOSITORY

TIMEOUT_SECONDS = 60
Finished = subprocess.CompletedProcess[str]


class Cli:
    """The command line in a process of its own, with its own settings."""

    def __init__(self, folder: Path, database_url: str = "") -> None:
        self.env_file = folder / ".env"
        self.database = folder / "app.db"
        self.url = database_url or f"sqlite+aiosqlite:///{self.database}"
        self.settings = {
            "ENV_FILE": str(self.env_file),
            "DATABASE_URL": self.url,
            "SECRET_KEY": secrets.token_hex(32),
            "JWT_SECRET_KEY": secrets.token_hex(32),
            "ARGON2_MEMORY_KIB": "8",
            "ARGON2_TIME_COST": "1",
        }

    @classmethod
    def migrated(cls, folder: Path, template: Path) -> "Cli":
        """Return a command line on a copy of the tests' empty database."""
        cli = cls(folder)
        shutil.copy(template, cli.database)
        return cli

    def environment(self, **settings: str) -> dict[str, str]:
        """Return the settings of this class and of the call, without those of the tests."""
        ours = {*Settings.model_fields, "ENV_FILE"}
        outside = {name: value for name, value in os.environ.items() if name not in ours}
        return {**outside, **self.settings, **settings}

    def command(self, *arguments: str) -> list[str]:
        return [*CLI, *arguments]

    def run(self, *arguments: str, given: str | bytes = "", **settings: str) -> Finished:
        """Run a command to its end, with `given` as its input."""
        finished = warm_processes.run(
            self.command(*arguments),
            self.environment(**settings),
            cwd=REPOSITORY,
            given=given if isinstance(given, bytes) else given.encode(),
            timeout=TIMEOUT_SECONDS,
        )
        out, err = finished.stdout.decode(), finished.stderr.decode()
        return Finished(finished.args, finished.returncode, out, err)

    def json(self, *arguments: str, **settings: str) -> Any:
        """Run a command with `--json`, which must succeed, and return the JSON it prints."""
        finished = self.run(*arguments, "--json", **settings)
        assert finished.returncode == 0, finished.stderr
        return json.loads(finished.stdout)


def run_here(*arguments: str) -> Finished:
    """Run a command in this process, on `project`. Only for commands that read no settings."""
    result = CliRunner().invoke(app, arguments, obj=project)
    return Finished(arguments, result.exit_code, result.stdout, result.stderr)


def assert_refused(finished: Finished, *words: str) -> None:
    """Assert that it failed with one line on standard error that contains all of `words`."""
    assert finished.returncode == 1
    assert finished.stdout == ""
    assert len(finished.stderr.splitlines()) == 1, finished.stderr
    for word in words:
        assert word in finished.stderr


def query(cli: Cli, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """Query the SQLite database directly, not through the application."""
    with closing(sqlite3.connect(cli.database, isolation_level=None)) as connection:
        return connection.execute(statement, values).fetchall()
