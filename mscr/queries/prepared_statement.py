"""Prepared statements for frequent queries, at a fraction of the cost of a session's."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import CursorResult, Dialect, Select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

from mscr.connections.pooler import PoolerError
from mscr.db.compiled_statement import CompiledStatement, Statement
from mscr.db.database_errors import UnreachableError
from mscr.db.session_info import COMMITTED, SHARED_CONNECTION
from mscr.db.shared_connection import SharedConnection

Source = AsyncEngine | AsyncSession

# SQLSTATE class of broken connections: the outcome of the statement is unknown.
_CONNECTION_CLASS: Final = "08"
# SQLSTATEs of the lock timeout and the statement timeout.
_TOO_LATE: Final = ("55P03", "57014")


class PreparedStatement:
    """A statement that is compiled once, with a `bindparam` for each value that changes.

    Warning: it commits at once, on an engine and in a session that has not begun a transaction. In
    a session that has, a SELECT becomes part of the transaction; a write is refused with
    `TypeError`, because nobody would commit it. A write names every column that it sets: it adds
    no default of the models, nor `version`.

    Rows are named tuples: `row.title`. Names and types are those that SQLAlchemy gives the columns,
    on both databases. A value without a bind parameter, or a missing one, raises `TypeError`. A
    value that is callable is called when the connection is there, for times.

    On PostgreSQL it runs on the driver's own connection, in an eighth of a session's time. A text
    that depends on its values, like that of `in_`, is refused there with `TypeError`. SQLAlchemy's
    events do not see it; its log does (`echo`), and so do `TRACERS`.
    """

    def __init__(self, statement: Statement) -> None:
        self.statement = statement
        self._compiled: dict[str, CompiledStatement] = {}

    async def one_or_none(self, source: Source, /, **values: Any) -> Any:
        """Return the only row, or None. Raises what SQLAlchemy raises."""
        rows = await self.all(source, **values)
        return rows[0] if rows else None

    async def scalar(self, source: Source, /, **values: Any) -> Any:
        """Return the only value of the only row. Raises what SQLAlchemy raises."""
        return (await self.all(source, **values))[0][0]

    async def all(self, source: Source, /, **values: Any) -> Sequence[Any]:
        """Return the rows. Raises what SQLAlchemy raises, and `ConnectionError`."""
        if isinstance(source, AsyncEngine):
            return await self._run(source, values)
        if source.in_transaction() or not isinstance(source.bind, AsyncEngine):
            return await self._run_within(source, values)
        if not isinstance(self.statement, Select):
            source.info[COMMITTED] = True
        return await self._run(source.bind, values, source.info.get(SHARED_CONNECTION))

    async def _run(
        self, engine: AsyncEngine, values: dict[str, Any], shared: SharedConnection | None = None
    ) -> Sequence[Any]:
        compiled = self._compile(engine.dialect)
        compiled.check(values)
        if engine.dialect.driver == "asyncpg":
            try:
                records = await compiled.fetch(engine, values, shared)
            except (TimeoutError, SQLAlchemyError, UnreachableError, PoolerError):
                # Do not retry: the request has waited for a connection already.
                raise
            except Exception as error:
                if getattr(error, "sqlstate", None) in _TOO_LATE:
                    # Do not retry: the request has used up the timeout already.
                    raise TimeoutError(str(error)) from error
                if not self._is_undone(error):
                    raise ConnectionError("the connection broke") from error
                # Execute it again below, by SQLAlchemy, which raises its own class of error.
            else:
                return compiled.typed(records)
        async with engine.begin() as connection:
            return await self._execute(connection, compiled, values)

    def _is_undone(self, error: Exception) -> bool:
        """Return whether it is safe to retry: the server refused it, or it is a SELECT."""
        sqlstate = getattr(error, "sqlstate", None) or _CONNECTION_CLASS
        return isinstance(self.statement, Select) or not sqlstate.startswith(_CONNECTION_CLASS)

    async def _run_within(self, session: AsyncSession, values: dict[str, Any]) -> Sequence[Any]:
        """Execute it on the session's connection, as part of the session's transaction.

        The connection may be a replica's, or that of a test, which rolls everything back.
        """
        if isinstance(session.bind, AsyncEngine) and not isinstance(self.statement, Select):
            raise TypeError("a statement that commits immediately cannot run in a transaction")
        await session.flush()
        connection = await session.connection()
        compiled = self._compile(connection.dialect)
        compiled.check(values)
        return await self._execute(connection, compiled, values)

    async def _execute(
        self, connection: AsyncConnection, compiled: CompiledStatement, values: dict[str, Any]
    ) -> Sequence[Any]:
        called = {name: value() if callable(value) else value for name, value in values.items()}
        result: CursorResult[Any] = await connection.execute(self.statement, called)
        return compiled.rows(result) if result.returns_rows else ()

    def _compile(self, dialect: Dialect) -> CompiledStatement:
        compiled = self._compiled.get(dialect.driver)
        if compiled is None:
            compiled = self._compiled[dialect.driver] = CompiledStatement(self.statement, dialect)
        return compiled
