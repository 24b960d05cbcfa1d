"""Every command works with a provider's URL, and refuses an unusable one in one line."""

import secrets
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from mscr.testing import warm_processes
from mscr.testing.postgres import PostgresServer
from mscr.tests.support.command_line import Cli
from mscr.tests.support.paths import ALEMBIC, CLI, REPOSITORY

Finished = subprocess.CompletedProcess[str]

# Options as providers show them for copying, and similar ones.
OPTIONS: Final = (
    "&sslmode=require&channel_binding=require&connect_timeout=5&application_name=my%20api"
    "&target_session_attrs=read-write&gssencmode=disable&keepalives=1"
)
COMMANDS: Final = {
    "doctor": (*CLI, "doctor"),
    "list-users": (*CLI, "list-users"),
    "serve": (*CLI, "serve"),
    "current": (*ALEMBIC, "current"),
    "upgrade": (*ALEMBIC, "upgrade", "head"),
}


def run(cli: Cli, *arguments: str, **settings: str) -> Finished:
    finished = warm_processes.run(
        [*arguments], cli.environment(**settings), cwd=REPOSITORY, timeout=60
    )
    out, err = finished.stdout.decode(), finished.stderr.decode()
    return Finished(arguments, finished.returncode, out, err)


@pytest.fixture
async def cli(tmp_path: Path, postgres: PostgresServer) -> AsyncIterator[Cli]:
    name = f"test_{secrets.token_hex(8)}"
    await postgres.create_database(name)
    yield Cli(tmp_path, postgres.url(name) + OPTIONS)
    await postgres.drop_database(name)


def test_the_url_of_a_provider_works_in_every_command(cli: Cli) -> None:
    for name in ("upgrade", "current", "list-users", "doctor"):
        finished = run(cli, *COMMANDS[name])

        assert finished.returncode == 0, (name, finished)
        assert "Traceback" not in finished.stderr


def test_the_url_option_of_alembic_accepts_the_same_options(cli: Cli) -> None:
    finished = run(cli, *ALEMBIC, "-x", f"url={cli.url}", "current", DATABASE_URL="")

    assert finished.returncode == 0, finished


@pytest.mark.parametrize("command", sorted(COMMANDS.keys() - {"upgrade"}))
def test_an_unknown_option_gives_the_same_line_in_every_command(
    tmp_path: Path, command: str
) -> None:
    cli = Cli(tmp_path, "postgresql://u:canary@db.invalid/app?bogus=canary")

    finished = run(cli, *COMMANDS[command])

    told = finished.stderr + finished.stdout
    assert finished.returncode == 1
    assert "DATABASE_URL: bogus: unknown option; a server setting needs the form" in told
    assert "canary" not in told
    assert "Traceback" not in told
    if command != "doctor":
        assert len(told.splitlines()) == 1


def test_an_unusable_url_option_of_alembic_is_one_line(tmp_path: Path) -> None:
    url = "url=postgresql://u:can/ary@h/app"

    finished = run(Cli(tmp_path), *ALEMBIC, "-x", url, "current")

    [told] = (finished.stdout + finished.stderr).splitlines()
    assert "-x url: an @ after the host; percent-encode" in told
    assert "canary" not in told
    assert "ary@h" not in told


def test_an_empty_url_option_is_refused(cli: Cli) -> None:
    """An unset shell variable would otherwise migrate the database of the settings."""
    finished = run(cli, *ALEMBIC, "-x", "url=", "upgrade", "head")

    [told] = (finished.stdout + finished.stderr).splitlines()
    assert "-x url: it is empty" in told


@pytest.mark.parametrize("source", ["ENV_FILE", "CREDENTIALS_DIRECTORY"])
def test_an_unusable_source_of_settings_is_one_line_in_alembic_too(
    tmp_path: Path, source: str
) -> None:
    cli = Cli(tmp_path)
    cli.env_file.write_bytes(b"PORT=\xff")

    finished = run(cli, *COMMANDS["current"], **{"ENV_FILE": "", source: str(cli.env_file)})

    [told] = (finished.stdout + finished.stderr).splitlines()
    assert told.startswith("Configuration error: ")
    assert str(cli.env_file) in told
