"""Format a new revision with ruff, if it is installed: the production packages do not have it."""

import subprocess
import sys
from importlib.util import find_spec

if __name__ == "__main__" and find_spec("ruff") is not None:
    # Not a shell's: Alembic passes the path of the file that it has just written.
    command = [sys.executable, "-m", "ruff", "format", "--quiet", *sys.argv[1:]]
    sys.exit(subprocess.run(command, check=False).returncode)  # noqa: S603  # as above
