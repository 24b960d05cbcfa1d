"""What tests of the database itself share."""

import sys
from collections import defaultdict
from typing import Any, Final

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


class CompiledStatements(dict[Any, Any]):
    """A cache for engines: what is found goes by the statement, and not also by the dialect."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(key[1:], default)

    def __setitem__(self, key: Any, compiled: Any) -> None:
        super().__setitem__(key[1:], compiled)


# Of tests that are measured, and of others: what one of these has compiled, no other would measure.
_COMPILED: Final[dict[tuple[str, bool], CompiledStatements]] = defaultdict(CompiledStatements)


def share_compiled(database: Database) -> None:
    """Have it find compiled what earlier tests compiled: that is a fifth of a test's time."""
    engines = {database.engine, database.read_engine, database.replica_engine}
    for engine in {*engines, database.probe_engine}:
        compiled = _COMPILED[engine.dialect.name, sys.gettrace() is None]
        engine.sync_engine.update_execution_options(compiled_cache=compiled)
