"""Check how the rooms of both houses depend on each other: `make check` runs this.

`python -m checks.rooms --write` draws the picture of the rooms again.
"""

import sys

from app.project import project
from mscr.checks.rooms import main

if __name__ == "__main__":
    main(project, sys.argv[1:])
