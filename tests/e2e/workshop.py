"""Folders for generated clients, with what the generators need: ignored by git and every check."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

from app.core.config import PROJECT_ROOT

TOOLS: Final = PROJECT_ROOT / ".tools"


class Workshop:
    """A folder under `.tools`; delete it to have its packages installed again."""

    def __init__(self, name: str) -> None:
        self.path = TOOLS / name

    def fill(self, sources: Path) -> None:
        """Copy the client's sources and the committed OpenAPI document."""
        shutil.copytree(sources, self.path, dirs_exist_ok=True)
        shutil.copy(PROJECT_ROOT / "openapi.json", self.path)

    def install(self, lock: Path, install: Callable[[], None]) -> None:
        """Install the packages unless those of this lock file are there."""
        installed = self.path / "installed.lock"
        if not installed.exists() or installed.read_bytes() != lock.read_bytes():
            installed.unlink(missing_ok=True)
            install()
            shutil.copy(lock, installed)

    def run(self, *command: str) -> str:
        """Return what the command printed; the test fails with all of it if the command does."""
        finished = subprocess.run(  # noqa: S603 - our own commands
            command,
            cwd=self.path,
            env={**os.environ, "NO_COLOR": "1"},
            text=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        assert finished.returncode == 0, f"{' '.join(command)}:\n{finished.stdout}{finished.stderr}"
        return finished.stdout
