"""The command line as a whole: help, and errors of one line without a traceback."""

import subprocess
from pathlib import Path

import pytest

from mscr.testing.postgres import PostgresServer
from mscr.testing.processes import free_port
from mscr.tests.support.command_line import Cli, assert_refused, query
from mscr.tests.support.paths import REPOSITORY


@pytest.fixture
def cli(tmp_path: Path, sqlite_template: Path) -> Cli:
    return Cli.migrated(tmp_path, sqlite_template)


def test_help_lists_every_command_when_no_setting_is_usable(tmp_path: Path) -> None:
    bare = Cli(tmp_path)

    finished = bare.run("--help", SECRET_KEY="short", DATABASE_URL="nonsense", PORT="many")

    assert finished.returncode == 0
    for command in (
        *(
            "init-db",
            "seed",
            "create-user",
            "list-users",
            "set-password",
            "set-role",
            "cleanup-tokens",
        ),
        *("cleanup-audit", "cleanup-idempotency-keys", "purge-deleted"),
        *("routes", "doctor", "dev", "serve", "env-example", "generate-keys", "check-migrations"),
        *("release-migrations", "backup-database", "restore-database", "end-all-sessions"),
        "copy-database",
        *("rotate-encryption", "openapi"),
    ):
        assert command in finished.stdout


def test_without_a_command_it_prints_help(tmp_path: Path) -> None:
    finished = Cli(tmp_path).run()

    assert finished.returncode == 0
    assert "create-user" in finished.stdout


def test_an_unknown_command_is_one_line_and_status_2(tmp_path: Path) -> None:
    finished = Cli(tmp_path).run("frobnicate")

    assert finished.returncode == 2
    assert finished.stderr == "Error: No such command 'frobnicate'; see --help\n"


@pytest.mark.parametrize("command", ["init-db", "list-users", "routes", "serve"])
def test_a_bad_configuration_is_reported_without_its_values(tmp_path: Path, command: str) -> None:
    finished = Cli(tmp_path).run(command, SECRET_KEY="canary-canary", PORT="many")

    assert finished.returncode == 1
    assert len(finished.stderr.splitlines()) == 2
    assert "SECRET_KEY" in finished.stderr
    assert "PORT" in finished.stderr
    assert "canary" not in finished.stderr


@pytest.mark.parametrize("command", ["init-db", "seed", "list-users"])
def test_an_unreachable_database_is_one_line_without_the_password(
    tmp_path: Path, command: str
) -> None:
    url = f"postgresql+asyncpg://app:canary@127.0.0.1:{free_port()}/app"

    finished = Cli(tmp_path, url).run(command)

    assert_refused(finished, "PostgreSQL 127.0.0.1:", "DATABASE_URL")
    assert "canary" not in finished.stderr


@pytest.mark.parametrize("command", ["seed", "list-users"])
def test_a_missing_schema_is_one_line_with_its_remedy(tmp_path: Path, command: str) -> None:
    assert_refused(Cli(tmp_path).run(command), "python cli.py init-db")


async def test_a_missing_database_is_one_line_on_postgresql(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    finished = Cli(tmp_path, postgres.url("missing")).run("list-users")

    assert_refused(finished, "does not exist", "DATABASE_URL")


async def test_a_missing_schema_is_one_line_on_postgresql(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    finished = Cli(tmp_path, postgres.url("postgres")).run("list-users")

    assert_refused(finished, "python cli.py init-db")


def test_a_file_that_is_no_database_is_one_line(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    cli.database.write_text("This is a letter to my aunt. " * 100)

    assert_refused(cli.run("list-users"), "not an SQLite database")


def test_an_env_file_in_another_encoding_is_one_line(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    cli.env_file.write_text("PORT=8000", encoding="utf-16")

    assert_refused(cli.run("list-users"), "not UTF-8")


def test_an_unexpected_fault_keeps_its_traceback(cli: Cli) -> None:
    # A bug report needs the traceback. Here, the database refuses a row for an unknown reason.
    query(cli, "CREATE TRIGGER no BEFORE INSERT ON users BEGIN SELECT RAISE(ABORT, 'no'); END")
    arguments = ("--email=a@example.com", "--password-stdin")

    finished = cli.run("create-user", *arguments, given="canary canary")

    assert finished.returncode == 1
    assert "Traceback" in finished.stderr
    assert "canary" not in finished.stderr


def test_output_into_a_closed_pipe_prints_no_traceback(cli: Cli) -> None:
    with subprocess.Popen(  # noqa: S603 - the project's own command
        cli.command("list-users"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=REPOSITORY,
        env=cli.environment(),
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert b"Traceback" not in process.stderr.read()


def test_debugging_does_not_mix_sql_into_the_output(cli: Cli) -> None:
    assert cli.json("list-users", DEBUG="true") == {"users": [], "total": 0}
