"""Folders for generated clients and their generators, ignored by git and every check."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

from examples.catalogue.core.config import Settings
from examples.catalogue.project import project
from mscr.tests.support.paths import REPOSITORY

TOOLS: Final = REPOSITORY / ".tools"


class Workshop:
    """A folder under `.tools`. Delete it to reinstall its packages."""

    def __init__(self, name: str) -> None:
        self.path = TOOLS / name

    def fill(self, sources: Path) -> None:
        """Copy the client's sources, and write the OpenAPI document of the default settings."""
        shutil.copytree(sources, self.path, dirs_exist_ok=True)
        document = project.create_app(Settings.from_env_file(None)).openapi()
        (self.path / "openapi.json").write_text(json.dumps(document))

    def install(self, lock: Path, install: Callable[[], None]) -> None:
        """Install the packages unless those of this lock file are already installed."""
        installed = self.path / "installed.lock"
        if not installed.exists() or installed.read_bytes() != lock.read_bytes():
            installed.unlink(missing_ok=True)
            install()
            shutil.copy(lock, installed)

    def run(self, *command: str) -> str:
        """Run a command and return its output. If it fails, fail the test with that output."""
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
