"""Counts the modules that a worker loads before its first request: `make check` runs this.

`python -m checks.import_budget --write` allows what a start loads now.
"""

import sys
from pathlib import Path

from app.project import project
from mscr.checks.import_budget import main

if __name__ == "__main__":
    main(project, Path(__file__).with_name("import_budget.json"), sys.argv[1:])
