"""`dev`, the command behind `make run`."""

import re
import signal
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from examples.catalogue.core.config import Settings
from mscr.cli.env_example import render
from mscr.testing.processes import free_port
from mscr.tests.support.command_line import Cli, assert_refused, query
from mscr.tests.support.serving import STOP_TIMEOUT_SECONDS, Serving, taken_port


def newcomer_in(folder: Path) -> Cli:
    """Return a command line with neither .env nor a database, as after a fresh checkout."""
    cli = Cli(folder)
    del cli.settings["SECRET_KEY"], cli.settings["JWT_SECRET_KEY"]
    return cli


@pytest.fixture
def newcomer(tmp_path: Path) -> Cli:
    return newcomer_in(tmp_path)


def serving_dev(cli: Cli, **settings: str) -> Serving:
    port = free_port()
    return Serving(cli, "dev", f"--port={port}", port=port, **settings)


# --- the first start and the second


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> tuple[Cli, Serving]:
    """Start for the first time, and stop by a signal to the process alone."""
    cli = newcomer_in(tmp_path_factory.mktemp("first"))
    with serving_dev(cli) as running:
        running.stop()
    return cli, running


def test_a_first_start_prints_how_to_log_in_and_exits_with_0(started: tuple[Cli, Serving]) -> None:
    cli, running = started

    passwords = re.findall(r"^  \S+@example\.com +(\S+)", running.output, re.MULTILINE)

    assert running.process.returncode == 0
    assert f"{running.url}/docs" in running.output
    assert len(passwords) == 2
    assert query(cli, "SELECT count(*) FROM users") == [(2,)]
    assert "Traceback" not in running.output


def test_a_first_start_generates_secrets_that_only_the_file_owner_can_read(
    started: tuple[Cli, Serving],
) -> None:
    cli, running = started

    lines = cli.env_file.read_text().splitlines()

    example = render(Settings).splitlines()
    secrets = [line for line in lines if line not in example]
    assert [line.partition("=")[0] for line in secrets] == ["SECRET_KEY", "JWT_SECRET_KEY"]
    values = {line.partition("=")[2] for line in secrets}
    assert len(values) == 2
    assert all(re.fullmatch("[0-9a-f]{64}", value) for value in values)
    assert not any(value in running.output for value in values)
    assert stat.S_IMODE(cli.env_file.stat().st_mode) == 0o600


def test_a_second_start_changes_neither_env_file_nor_rows(started: tuple[Cli, Serving]) -> None:
    cli, _ = started
    env_file, users = cli.env_file.read_bytes(), query(cli, "SELECT * FROM users")

    with serving_dev(cli) as running:
        assert "set-password" in running.output
        assert "shown only now" not in running.output

    assert cli.env_file.read_bytes() == env_file
    assert query(cli, "SELECT * FROM users") == users


def test_a_start_with_a_missing_migration_warns_and_serves(
    tmp_path: Path, sqlite_template: Path
) -> None:
    cli = Cli.migrated(tmp_path, sqlite_template)
    query(cli, "DROP TABLE idempotency_keys")

    with serving_dev(cli) as running:
        [line] = [line for line in running.output.splitlines() if line.startswith("warning")]

    assert "table idempotency_keys is missing" in line
    assert "alembic revision --autogenerate" in line


# --- everything is configured already


@pytest.fixture(scope="module")
def prepared(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path
) -> Iterator[tuple[Cli, Serving]]:
    """Serve with secrets in the environment, a database that once had a user, and own settings."""
    cli = Cli.migrated(tmp_path_factory.mktemp("prepared"), sqlite_template)
    columns = "(public_id, email, email_key, password_hash, is_deleted)"
    query(cli, f"INSERT INTO users {columns} VALUES ('u', 'gone', 'gone', '!', 1)")  # noqa: S608 - no value comes from outside
    settings = {"DOCS_ENABLED": "false", "HOST": "0.0.0.0", "ROOT_PATH": "/svc"}  # noqa: S104 - the announced URL is tested
    with serving_dev(cli, **settings) as running:
        yield cli, running


def test_secrets_of_the_environment_are_enough(prepared: tuple[Cli, Serving]) -> None:
    assert not prepared[0].env_file.exists()


def test_a_database_that_had_a_user_is_not_seeded(prepared: tuple[Cli, Serving]) -> None:
    assert query(prepared[0], "SELECT email FROM users") == [("gone",)]


def test_only_served_pages_are_announced(prepared: tuple[Cli, Serving]) -> None:
    assert f"{prepared[1].url}/svc\n" in prepared[1].output
    assert "/docs" not in prepared[1].output


def test_only_development_is_seeded_and_ctrl_c_exits_with_0(
    tmp_path: Path, sqlite_template: Path
) -> None:
    cli = Cli.migrated(tmp_path, sqlite_template)

    with serving_dev(cli, ENVIRONMENT="test") as running:
        status = running.interrupt_all()

    assert query(cli, "SELECT email FROM users") == []
    assert status == 0
    assert "Traceback" not in running.output


# --- refusals


@pytest.mark.parametrize("by", ["option", "environment", "env file"])
def test_a_taken_port_is_one_line_before_anything_is_touched(newcomer: Cli, by: str) -> None:
    with taken_port() as port:
        arguments = [f"--port={port}"] if by == "option" else []
        settings = {"PORT": str(port)} if by == "environment" else {}
        if by == "env file":
            newcomer.env_file.write_text(f"PORT={port}\n")
        files = {file: file.read_bytes() for file in newcomer.env_file.parent.iterdir()}

        finished = newcomer.run("dev", *arguments, **settings)

    assert_refused(finished, f"port {port}", f"PORT={port + 1}")
    assert files == {file: file.read_bytes() for file in newcomer.env_file.parent.iterdir()}


def test_an_address_of_another_machine_is_one_line(newcomer: Cli) -> None:
    assert_refused(newcomer.run("dev", "--host=192.0.2.1"), "192.0.2.1")


def test_a_port_that_is_no_number_is_one_line(newcomer: Cli) -> None:
    assert_refused(newcomer.run("dev", PORT="many"), "PORT must be a number")


def test_production_is_not_for_dev(newcomer: Cli) -> None:
    finished = newcomer.run("dev", f"--port={free_port()}", ENVIRONMENT="production")

    assert_refused(finished, "production", "serve")
    assert not newcomer.env_file.exists()


def test_a_secret_that_is_too_short_is_reported_and_not_replaced(newcomer: Cli) -> None:
    newcomer.env_file.write_text("SECRET_KEY=short\n")

    finished = newcomer.run("dev", f"--port={free_port()}", JWT_SECRET_KEY="x" * 32)

    assert finished.returncode == 1
    assert "SECRET_KEY" in finished.stderr
    assert newcomer.env_file.read_text() == "SECRET_KEY=short\n"


def _threads(pid: int) -> int:
    """Count the threads. SQLite's driver starts one, so with two the migration is running."""
    tasks = Path(f"/proc/{pid}/task")
    return len(list(tasks.iterdir())) if tasks.exists() else 2


def test_an_interrupt_before_it_serves_exits_with_0(
    newcomer: Cli, request: pytest.FixtureRequest
) -> None:
    with closing(sqlite3.connect(newcomer.database, isolation_level=None)) as other:
        # The process blocks at the migrations, which wait for this transaction.
        other.execute("BEGIN IMMEDIATE")
        starting = serving_dev(newcomer)
        request.addfinalizer(starting.kill)
        starting.wait_until(lambda: "generated" in starting.output)
        starting.wait_until(lambda: _threads(starting.process.pid) > 1)
        starting.process.send_signal(signal.SIGINT)
        other.execute("ROLLBACK")

    assert starting.process.wait(STOP_TIMEOUT_SECONDS) == 0
    assert "Traceback" not in starting.output
