"""Processes of tests can be stopped, and report errors with their log."""

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from examples.catalogue.project import project
from mscr.testing import processes, warm_processes, with_postgres
from mscr.testing.postgres import PostgresServer
from mscr.testing.processes import AppProcess, app_processes
from mscr.tests.support.paths import REPOSITORY

ECHO = "import sys; print(sys.stdin.read(), end=''); print(sys.argv[1:], file=sys.stderr)"


@pytest.mark.parametrize(
    "context", [warm_processes.FORKED, warm_processes.SPAWNED], ids=["forked", "spawned"]
)
@pytest.mark.parametrize("is_module", [True, False])
def test_a_command_reads_and_writes_files_in_its_folder(
    context: object, is_module: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warm_processes, "CONTEXT", context)
    (tmp_path / "echo_input.py").write_text(ECHO)
    named = ["-m", "echo_input"] if is_module else [str(tmp_path / "echo_input.py")]

    done = warm_processes.run(
        [sys.executable, *named, "a", "b"],
        os.environ,
        cwd=tmp_path,
        given=b"some text\n",
        timeout=30,
    )

    assert (done.returncode, done.stdout) == (0, b"some text\n")
    assert done.stderr == b"['a', 'b']\n"


def test_a_command_is_killed_after_its_timeout(tmp_path: Path) -> None:
    script = tmp_path / "sleeps.py"
    script.write_text("import time; time.sleep(60)")

    with pytest.raises(TimeoutError):
        warm_processes.run([sys.executable, str(script)], os.environ, cwd=tmp_path, timeout=0.1)


def test_an_application_that_does_not_start_is_an_error_with_its_log() -> None:
    with (
        pytest.raises(RuntimeError, match=r'did not start:\n[^$]*Attribute "none" not found'),
        app_processes(
            project, 1, f"sqlite+aiosqlite:///{os.devnull}", app="examples.catalogue.main:none"
        ),
    ):
        pass


def test_an_application_that_does_not_stop_is_killed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    process = AppProcess(project, f"sqlite+aiosqlite:///{tmp_path}/none.db")
    monkeypatch.setattr(processes, "STOP_TIMEOUT", timedelta(seconds=1))
    os.kill(process.pid, signal.SIGSTOP)

    with pytest.raises(TimeoutError, match="goes on"):
        process.wait_until_gone()

    assert process.stop() == -signal.SIGKILL
    process.close()


def test_a_command_has_its_own_postgresql_until_it_ends() -> None:
    command = [sys.executable, "-m", "mscr.testing.with_postgres"]
    given = {name: value for name, value in os.environ.items() if name != PostgresServer.variable}
    script = "import os, sys; print(os.environ['DATABASE_URL']); sys.exit(7)"

    done, refused = (
        subprocess.run(
            [*command, *arguments],
            cwd=REPOSITORY,
            env=given,
            capture_output=True,
            text=True,
            check=False,
        )
        for arguments in ([sys.executable, "-c", script], [])
    )

    assert (done.returncode, refused.returncode) == (7, 1)
    url = done.stdout.strip()
    assert url.startswith("postgresql+asyncpg://")
    assert url in done.stderr
    assert refused.stderr == f"{with_postgres.USAGE}\n"
