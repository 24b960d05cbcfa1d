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


def output_after(changes: Changes, package: str, command: str) -> str:
    """Return what `cli.py` prints for a command after the changes. Raises `FailedTrialError`."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(changes.root / package, Path(folder, package))
        shutil.copy(changes.root / "cli.py", folder)
        changes.apply(Path(folder))
        # The copy's package comes first; everything else is imported from the project.
        done = subprocess.run(  # noqa: S603  # the project's own command
            [sys.executable, "cli.py", command],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(changes.root)},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise FailedTrialError(done.stderr.strip().rpartition("\n")[2])
    return done.stdout
