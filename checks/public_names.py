"""Check that the application imports only public names of the kit: `make check` runs this.

`python -m checks.public_names --write` renews the list in `mscr/README.md`.
"""

import sys

from app.project import project
from mscr.checks.public_names import main

if __name__ == "__main__":
    main(project, sys.argv[1:], examples=["examples"])
