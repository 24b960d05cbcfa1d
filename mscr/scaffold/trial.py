"""Try changes out in a copy of the application, before they are written."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from mscr.scaffold.changes import Changes


class FailedTrialError(Exception):
    """The application does not start with the changes. The text is its last line."""


def openapi_after(changes: Changes, package: str) -> str:
    """Return the `openapi.json` of the application with the changes. Raises `FailedTrialError`."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(changes.root / package, Path(folder, package))
        shutil.copy(changes.root / "cli.py", folder)
        changes.apply(Path(folder))
        # The copy's package comes first; everything else is imported from the project.
        done = subprocess.run(
            [sys.executable, "cli.py", "openapi"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(changes.root)},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise FailedTrialError(done.stderr.strip().rpartition("\n")[2])
    return done.stdout
