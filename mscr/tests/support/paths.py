"""The folders and commands that tests of the kit use."""

import sys
from pathlib import Path
from typing import Final

# The folder of the Makefile, docs/ and deploy/.
REPOSITORY: Final = Path(__file__).resolve().parents[3]
# The folder of the catalogue's alembic.ini and migrations/.
CATALOGUE: Final = REPOSITORY / "examples" / "catalogue"
# The command line of the catalogue, and Alembic with its configuration. Start both in REPOSITORY.
CLI: Final = (sys.executable, "-m", "examples.catalogue")
ALEMBIC: Final = (sys.executable, "-m", "alembic", "-c", "examples/catalogue/alembic.ini")
