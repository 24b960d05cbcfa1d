"""`dev` and `serve`."""

import json
import os
import re
import signal
import socket
import sqlite3
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx2
import pytest

from app.core.config import PROJECT_ROOT
from tests.test_cli import Cli, assert_refused, free_port, query

START_TIMEOUT_SECONDS = 60
STOP_TIMEOUT_SECONDS = 30


@pytest.fixture
def cli(tmp_path: Path, sqlite_template: Path) -> Cli:
    return Cli.migrated(tmp_path, sqlite_template)


@pytest.fixture
def newcomer(tmp_path: Path) -> Cli:
    """Somebody who has neither .env nor a database."""
    cli = Cli(tmp_path)
    del cli.settings["SECRET_KEY"], cli.settings["JWT_SECRET_KEY"]
    return cli


class Serving:
    """A command that serves, from its first answer to its end."""

    def __init__(self, cli: Cli, *arguments: str, port: int, **settings: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._log = cli.env_file.with_name("output.log")
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own command
                cli.command(*arguments),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=PROJECT_ROOT,
                env=cli.environment(**settings),
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        self.wait_until(self._answers)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.stop()

    def wait_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not condition():
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.05)

    def stop(self) -> int:
        """Interrupt the command, by its own process id, and return its status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(STOP_TIMEOUT_SECONDS)

    def headers(self, **request_headers: str) -> httpx2.Headers:
        """Those of an answer to a request with these."""
        url = f"{self.url}/health/live"
        return httpx2.get(url, headers=request_headers, trust_env=False).headers

    @property
    def output(self) -> str:
        return self._log.read_text()

    def _answers(self) -> bool:
        try:
            self.headers()
        except httpx2.TransportError:
            return False
        return True


def serving_dev(cli: Cli, **settings: str) -> Serving:
    port = free_port()
    return Serving(cli, "dev", f"--port={port}", port=port, **settings)


def serving(cli: Cli, **settings: str) -> Serving:
    port = free_port()
    return Serving(cli, "serve", port=port, PORT=str(port), **settings)


@contextmanager
def taken_port() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


# --- dev


def test_a_first_start_makes_all_that_is_missing_and_tells_how_to_log_in(newcomer: Cli) -> None:
    with serving_dev(newcomer) as running:
        assert f"{running.url}/docs" in running.output
        passwords = re.findall(r"^  \S+@example\.com +(\S+)", running.output, re.MULTILINE)
        status = running.stop()

    assert status == 0
    assert "Traceback" not in running.output
    assert len(passwords) == 2
    assert stat.S_IMODE(newcomer.env_file.stat().st_mode) == 0o600
    assert query(newcomer, "SELECT count(*) FROM users") == [(2,)]
    lines = newcomer.env_file.read_text().splitlines()
    secrets = [line.partition("=")[2] for line in lines if re.match(r"(JWT_)?SECRET_KEY=", line)]
    assert len(set(secrets)) == 2
    assert all(re.fullmatch("[0-9a-f]{64}", secret) for secret in secrets)
    example = (PROJECT_ROOT / ".env.example").read_text().splitlines()
    assert [line for line in lines if line not in example] == [
        f"SECRET_KEY={secrets[0]}",
        f"JWT_SECRET_KEY={secrets[1]}",
    ]
    assert not any(secret in running.output for secret in secrets)


def test_a_second_start_changes_neither_env_file_nor_rows(newcomer: Cli) -> None:
    with serving_dev(newcomer):
        pass
    env_file = newcomer.env_file.read_bytes()
    users = query(newcomer, "SELECT * FROM users")

    with serving_dev(newcomer) as running:
        assert "set-password" in running.output
        assert "shown only now" not in running.output

    assert newcomer.env_file.read_bytes() == env_file
    assert query(newcomer, "SELECT * FROM users") == users


def test_secrets_of_the_environment_are_enough(cli: Cli) -> None:
    with serving_dev(cli):
        assert not cli.env_file.exists()


def test_a_database_with_a_user_is_not_seeded(cli: Cli) -> None:
    columns = "(public_id, email, email_key, password_hash, is_deleted)"
    query(cli, f"INSERT INTO users {columns} VALUES ('u', 'gone', 'gone', '!', 1)")  # noqa: S608

    with serving_dev(cli):
        assert query(cli, "SELECT email FROM users") == [("gone",)]


def test_only_development_is_seeded(cli: Cli) -> None:
    with serving_dev(cli, ENVIRONMENT="test"):
        assert query(cli, "SELECT email FROM users") == []


def test_only_what_is_served_is_announced(cli: Cli) -> None:
    with serving_dev(cli, DOCS_ENABLED="false", HOST="0.0.0.0") as running:  # noqa: S104
        assert running.url in running.output
        assert "/docs" not in running.output


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


def test_a_secret_that_is_too_short_is_told_and_not_replaced(newcomer: Cli) -> None:
    newcomer.env_file.write_text("SECRET_KEY=short\n")

    finished = newcomer.run("dev", f"--port={free_port()}", JWT_SECRET_KEY="x" * 32)

    assert finished.returncode == 1
    assert "SECRET_KEY" in finished.stderr
    assert newcomer.env_file.read_text() == "SECRET_KEY=short\n"


def test_a_terminal_interrupt_of_the_whole_group_ends_with_0(cli: Cli) -> None:
    with serving_dev(cli) as running:
        os.killpg(running.process.pid, signal.SIGINT)
        status = running.process.wait(STOP_TIMEOUT_SECONDS)

    assert status == 0
    assert "Traceback" not in running.output


def test_an_interrupt_before_it_serves_ends_with_0_too(newcomer: Cli) -> None:
    with closing(sqlite3.connect(newcomer.database, isolation_level=None)) as other:
        # It cannot get further than the migrations, which wait for this one.
        other.execute("BEGIN IMMEDIATE")
        starting = serving_dev(newcomer)
        starting.wait_until(lambda: "generated" in starting.output)
        starting.process.send_signal(signal.SIGINT)
        other.execute("ROLLBACK")

    assert starting.process.wait(STOP_TIMEOUT_SECONDS) == 0
    assert "Traceback" not in starting.output


# --- serve


def test_serve_answers_without_telling_what_serves(cli: Cli) -> None:
    with serving(cli) as running:
        assert "server" not in {name.lower() for name in running.headers()}
        status = running.stop()

    assert status == 0
    assert "Traceback" not in running.output


def test_serve_writes_one_access_line_a_request(cli: Cli) -> None:
    with serving(cli, LOG_JSON="true") as running:
        running.headers(**{"X-Request-ID": "only-this-one"})
        running.stop()

    lines = [json.loads(line) for line in running.output.splitlines()]
    assert len([line for line in lines if line.get("request_id") == "only-this-one"]) == 1
    assert not any("HTTP/1.1" in line["event"] for line in lines)


@pytest.mark.parametrize(
    ("trusted", "client"),
    [
        ("", "127.0.0.1"),
        ("10.0.0.0/8", "127.0.0.1"),
        ("127.0.0.1,10.0.0.0/8", "203.0.113.9"),
    ],
)
def test_serve_believes_a_forwarded_address_from_trusted_proxies_only(
    cli: Cli, trusted: str, client: str
) -> None:
    with serving(cli, LOG_JSON="true", TRUSTED_PROXIES=trusted) as running:
        forwarded = {"X-Forwarded-For": "203.0.113.9", "X-Request-ID": "forwarded-one"}
        running.headers(**forwarded)
        running.stop()

    (line,) = [line for line in running.output.splitlines() if "forwarded-one" in line]
    assert json.loads(line)["client"] == client


def test_serve_runs_as_many_workers_as_the_settings_say(cli: Cli) -> None:
    with serving(cli, WEB_CONCURRENCY="2") as running:
        running.wait_until(lambda: running.output.count("Application startup complete") == 2)
        status = running.stop()

    assert status == 0


def test_serve_on_a_taken_port_is_one_line(cli: Cli) -> None:
    with taken_port() as port:
        assert_refused(cli.run("serve", PORT=str(port)), f"port {port}")


def test_serve_refuses_an_unsafe_production(cli: Cli) -> None:
    finished = cli.run("serve", ENVIRONMENT="production", DEBUG="true")

    assert finished.returncode == 1
    assert "DEBUG must be off" in finished.stderr
    assert "Traceback" not in finished.stderr
