"""Helpers for tests of the database: one backend only, open connections, cached statements."""

import sys
from collections import defaultdict
from typing import Any, Final

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import QueuePool

from mscr.db.session import Database
from mscr.project import Project

# For behaviour that differs between the two databases.
on_sqlite = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)


def migrate(project: Project, url: str, revision: str = "head") -> None:
    """Migrate a database to a revision, as `alembic upgrade` does."""
    config = Config(project.root / "alembic.ini")
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    command.upgrade(config, revision)


def checked_out(database: Database) -> int:
    """Return how many connections are in use, in all pools together."""
    pools = [engine.pool for engine in {database.engine, database.read_engine}]
    return sum(pool.checkedout() for pool in pools if isinstance(pool, QueuePool))


class CompiledStatements(dict[Any, Any]):
    """A cache of compiled statements whose key leaves out the dialect.

    Each test creates engines with their own dialect objects: with these in the key, no engine would
    find a statement that another one compiled.
    """

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(key[1:], default)

    def __setitem__(self, key: Any, compiled: Any) -> None:
        super().__setitem__(key[1:], compiled)


# One cache for tests under a tracer (coverage) and one for others. Otherwise a statement that was
# compiled without the tracer would never be measured.
_COMPILED: Final[dict[tuple[str, bool], CompiledStatements]] = defaultdict(CompiledStatements)


def share_compiled(database: Database) -> None:
    """Let the database reuse statements compiled in earlier tests: a fifth of a test's time."""
    engines = {database.engine, database.read_engine, database.replica_engine}
    for engine in {*engines, database.probe_engine}:
        compiled = _COMPILED[engine.dialect.name, sys.gettrace() is None]
        engine.sync_engine.update_execution_options(compiled_cache=compiled)
