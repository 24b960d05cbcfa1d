"""`cli.py` itself, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from app.core.config import PROJECT_ROOT

CLI: Final = str(PROJECT_ROOT / "cli.py")


def run(
    *command: str, cwd: Path = PROJECT_ROOT, **settings: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - the project's own command
        (sys.executable, *command),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **settings},
        check=False,
    )


def test_without_the_packages_it_names_the_command_that_installs_them() -> None:
    finished = run("-S", CLI, "list-users")

    assert finished.returncode == 1
    assert finished.stderr.splitlines() == [
        "Error: the packages are missing; make setup, then: .venv/bin/python cli.py"
    ]


def test_it_works_in_another_folder(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/app.db"

    finished = run(CLI, "init-db", cwd=tmp_path, DATABASE_URL=url)

    assert finished.returncode == 0, finished.stderr
    assert "applied 0001, Accounts" in finished.stdout
