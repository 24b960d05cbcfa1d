"""The command line of a project whose models have encrypted columns."""

from examples.catalogue.cli import app
from examples.catalogue.models.base import Base
from mscr.tests.support.safes import TABLE

if __name__ == "__main__":
    TABLE.to_metadata(Base.metadata)
    app()
