"""Check that the kit needs nothing of this application: `make check` runs this."""

import sys

from app.project import project
from mscr.checks.kit_alone import check

if __name__ == "__main__":
    sys.exit(check(project, examples=["examples"], read=["docs"]))
