"""Format a new revision with ruff, where it is installed: the packages for production have none."""

import subprocess
import sys
from importlib.util import find_spec

if __name__ == "__main__" and find_spec("ruff") is not None:
    # Alembic names the file that it has just written.
    command = [sys.executable, "-m", "ruff", "format", "--quiet", *sys.argv[1:]]
    sys.exit(subprocess.run(command, check=False).returncode)  # noqa: S603
