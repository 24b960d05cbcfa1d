"""Count the SQL statements of a request, for example to find an N+1."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from mscr.db.compiled_statement import TRACERS
from mscr.db.session import Database
from mscr.jobs.runner import TASK_NAME


def is_of_a_job() -> bool:
    """Return whether the runner of jobs executes the present statement."""
    task = asyncio.current_task()
    return task is not None and task.get_name() == TASK_NAME


class StatementCounter:
    """Counts the statements of the application's engines: `with queries.at_most(2): ...`."""

    def __init__(self, database: Database) -> None:
        engines = {database.engine, database.read_engine, database.replica_engine}
        engines.add(database.probe_engine)
        self._engines = [engine.sync_engine for engine in engines]

    @contextmanager
    def counted(self) -> Iterator[list[str]]:
        """Collect the statements of the block, without those that only begin a transaction.

        Jobs run at any time, also those of earlier requests: their statements are left out.
        """
        statements: list[str] = []

        def keep(statement: str) -> None:
            if not statement.startswith("BEGIN") and not is_of_a_job():
                statements.append(statement)

        def note(_: Any, __: Any, statement: str, *___: Any) -> None:
            keep(statement)

        @contextmanager
        def note_prepared(_: Any, statement: str) -> Iterator[None]:
            # Prepared statements bypass the engine's events.
            keep(statement)
            yield

        for engine in self._engines:
            event.listen(engine, "before_cursor_execute", note)
        TRACERS.append(note_prepared)
        try:
            yield statements
        finally:
            TRACERS.remove(note_prepared)
            for engine in self._engines:
                event.remove(engine, "before_cursor_execute", note)

    @contextmanager
    def at_most(self, number: int) -> Iterator[None]:
        """Fail if the block executes more statements, and list them."""
        with self.counted() as statements:
            yield
        assert len(statements) <= number, "\n".join(statements)
