"""How many SQL statements a request takes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from sqlalchemy import Dialect, event

from app.db.session import Database
from app.repositories.prepared_statement import PreparedStatement


class StatementCounter:
    """Counts what the application's engines execute: `with queries.at_most(2): ...`."""

    def __init__(self, database: Database) -> None:
        engines = {database.engine, database.read_engine, database.replica_engine}
        engines.add(database.probe_engine)
        self._engines = [engine.sync_engine for engine in engines]

    @contextmanager
    def counted(self) -> Iterator[list[str]]:
        """The statements of the block, without those that only begin a transaction."""
        statements: list[str] = []

        def note(_: Any, __: Any, statement: str, *___: Any) -> None:
            if not statement.startswith("BEGIN"):
                statements.append(statement)

        compiled = PreparedStatement._compile

        def note_prepared(prepared: PreparedStatement, dialect: Dialect) -> Any:
            # It goes past the engine's events, and asks for this each time.
            statements.append(str(prepared.statement.compile(dialect=dialect)))
            return compiled(prepared, dialect)

        for engine in self._engines:
            event.listen(engine, "before_cursor_execute", note)
        try:
            with patch.object(PreparedStatement, "_compile", note_prepared):
                yield statements
        finally:
            for engine in self._engines:
                event.remove(engine, "before_cursor_execute", note)

    @contextmanager
    def at_most(self, number: int) -> Iterator[None]:
        """Fails a block that executes more, and shows what."""
        with self.counted() as statements:
            yield
        assert len(statements) <= number, "\n".join(statements)
