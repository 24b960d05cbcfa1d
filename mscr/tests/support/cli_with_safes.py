"""`cli.py` of a project whose models have encrypted columns."""

from app.cli import app
from app.models import Base
from tests.support.safes import TABLE

if __name__ == "__main__":
    TABLE.to_metadata(Base.metadata)
    app()
