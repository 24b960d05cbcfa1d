"""Check that everything a person reads is plain English: `make check` runs this."""

import sys

from app.project import project
from mscr.checks.prose import find_faults

if __name__ == "__main__":
    sys.exit("\n".join(find_faults(project.root)) or None)
