"""Checks in production when the application is started by a server other than `serve`."""

import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from examples.catalogue.core.config import Settings
from mscr.core.settings_fields import Environment
from mscr.http.middleware import RequestMiddleware
from mscr.server import sole_process
from mscr.server.status import STATE_KEY, ServerStatus
from mscr.testing.databases import on_postgresql, on_sqlite
from mscr.tests.support.paths import REPOSITORY

Logged = Callable[[], str]

STARTED = [{"type": "lifespan.startup.complete"}, {"type": "lifespan.shutdown.complete"}]
HOLD = """
import sys
from mscr.server.sole_process import claim
print(claim(sys.argv[1]), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sole_process, "_held", {})
    return tmp_path


@pytest.fixture
def crowded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that another process of the same parent serves this database."""
    monkeypatch.setattr("mscr.http.other_servers.claim", lambda _name: False)


@pytest.fixture
def logged(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Logged:
    """Return a function that returns the log, whether or not an earlier test has configured it."""
    return lambda: capsys.readouterr().out + caplog.text


def in_production(settings: Settings, **values: Any) -> Settings:
    return settings.model_copy(update={"ENVIRONMENT": Environment.PRODUCTION, **values})


async def start(settings: Settings, *, ours: bool = False) -> list[dict[str, Any]]:
    """Return the messages that the server receives when the lifespan begins."""
    sent: list[dict[str, Any]] = []

    async def application(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})

    async def receive() -> dict[str, Any]:
        return {"type": "lifespan.startup"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(dict(message))

    state = {STATE_KEY: ServerStatus()} if ours else {}
    scope = {"type": "lifespan", "state": state}
    await RequestMiddleware(application, settings)(scope, receive, send)
    return sent


@on_sqlite
@pytest.mark.usefixtures("crowded")
async def test_a_second_process_with_sqlite_does_not_start(settings: Settings) -> None:
    [message] = await start(in_production(settings, REDIS_URL=None))

    assert message["type"] == "lifespan.startup.failed"
    assert "SQLite serves one process" in message["message"]
    assert "set REDIS_URL" in message["message"]


@on_postgresql
@pytest.mark.usefixtures("crowded")
async def test_a_second_process_with_a_limiter_in_memory_does_not_start(
    settings: Settings,
) -> None:
    [message] = await start(in_production(settings, REDIS_URL=None))

    assert message["type"] == "lifespan.startup.failed"
    assert "SQLite" not in message["message"]
    assert "set REDIS_URL" in message["message"]


@on_postgresql
@pytest.mark.usefixtures("crowded")
async def test_processes_that_share_their_counters_start_with_a_warning(
    settings: Settings, logged: Logged
) -> None:
    shared = in_production(settings, REDIS_URL=SecretStr("redis://127.0.0.1:1/0"))

    assert await start(shared) == STARTED
    output = logged()
    assert "started_by_another_server" in output
    assert "DRAIN_SECONDS" in output


@on_sqlite
@pytest.mark.usefixtures("crowded")
@pytest.mark.parametrize("environment", ["production", "development"])
async def test_our_own_server_and_development_are_not_checked(
    settings: Settings, logged: Logged, environment: str
) -> None:
    chosen = settings.model_copy(update={"ENVIRONMENT": Environment(environment)})
    sent = await start(chosen, ours=environment == "production")

    assert sent == STARTED
    assert "another_server" not in logged()


@on_sqlite
@pytest.mark.usefixtures("temporary")
async def test_the_only_process_starts(settings: Settings) -> None:
    assert await start(in_production(settings)) == STARTED


@on_sqlite
async def test_a_warning_is_logged_where_processes_cannot_be_counted(
    settings: Settings,
    temporary: Path,
    logged: Logged,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(temporary / "missing"))

    assert await start(in_production(settings)) == STARTED
    assert os.strerror(errno.ENOENT) in logged()


def test_a_name_is_claimed_once_among_the_children_of_a_parent(temporary: Path) -> None:
    assert sole_process.claim("mine")
    assert sole_process.claim("mine")

    def sibling(name: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(  # noqa: S603 - the test's own command
            [sys.executable, "-c", HOLD, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            env={**os.environ, "TMPDIR": str(temporary)},
        )

    first = sibling("theirs")
    assert first.stdout is not None
    assert first.stdout.readline() == "True\n"
    # Siblings of that process are refused. This process has another parent.
    assert sole_process.claim("theirs", patience=0)
    second = sibling("theirs")
    # The second process waits for the first, which ends.
    first.communicate()
    assert second.communicate()[0] == "True\n"


def test_a_name_that_another_process_holds_is_refused(temporary: Path) -> None:
    other = sole_process._open("held")
    assert sole_process._lock(other)

    assert not sole_process.claim("held", patience=0.15)
    os.close(other)
    assert sole_process.claim("held", patience=0)


def test_processes_cannot_be_counted_on_windows(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")

    with pytest.raises(OSError, match="Windows"):
        sole_process.claim("anything")
