"""What tests of the database itself share."""

import pytest
from sqlalchemy import QueuePool

from app.db.session import Database

# For what one of the two does in its own way.
on_sqlite = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)


def checked_out(database: Database) -> int:
    """How many connections are in use, of all pools together."""
    pools = [engine.pool for engine in {database.engine, database.read_engine}]
    return sum(pool.checkedout() for pool in pools if isinstance(pool, QueuePool))
