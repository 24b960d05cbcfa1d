"""Statements that many requests make, at a fraction of what they cost otherwise."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import BindParameter, CursorResult, Dialect, Insert, Select, Update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.pool import PoolProxiedConnection

from app.core.database_errors import UnreachableError
from app.core.pooler import PoolerError
from app.db.session_info import COMMITTED, SHARED_CONNECTION

Row = Sequence[Any]
Source = AsyncEngine | AsyncSession
Statement = Select[*tuple[Any, ...]] | Insert | Update

# SQLSTATE's class of connections that broke: what became of the statement, nobody knows.
_CONNECTION_CLASS: Final = "08"
# SQLSTATEs of a lock, and of an answer, that was waited for as long as the settings say.
_TOO_LATE: Final = ("55P03", "57014")


class PreparedStatement:
    """A statement, compiled once; what changes from request to request is a `bindparam` of it.

    On PostgreSQL it runs on the driver's own connection, which takes an eighth of the time that a
    session takes for it. So its columns are of types that the driver knows: texts, numbers,
    booleans, and aware datetimes; an enum's column holds its value, or the enum. A text that
    depends on its values, as that of `in_` does, is refused there with `TypeError`.

    It is a transaction of its own, committed at once, whatever it is asked of: an engine, or a
    session that has not begun one. Of a session that has, a SELECT becomes a part; what writes is
    refused with `TypeError`, as nobody would commit it. What writes names every column that it
    sets: no default of the models, nor `version`, is added.

    A value that is a function is called when the connection is there, for times.
    """

    def __init__(self, statement: Statement) -> None:
        self.statement = statement
        self._compiled: _Compiled | None = None

    async def one_or_none(self, source: Source, **values: Any) -> Row | None:
        """The row, of at most one. Raises what SQLAlchemy raises."""
        rows = await self.all(source, **values)
        return rows[0] if rows else None

    async def scalar(self, source: Source, **values: Any) -> Any:
        """The only value of the only row. Raises what SQLAlchemy raises."""
        return (await self.all(source, **values))[0][0]

    async def all(self, source: Source, **values: Any) -> Sequence[Row]:
        """Raises what SQLAlchemy raises, and `ConnectionError`."""
        if isinstance(source, AsyncEngine):
            return await self._ask(source, values)
        if source.in_transaction() or not isinstance(source.bind, AsyncEngine):
            return await self._ask_within(source, values)
        if not isinstance(self.statement, Select):
            source.info[COMMITTED] = True
        return await self._ask(source.bind, values, source.info.get(SHARED_CONNECTION))

    async def _ask(
        self, engine: AsyncEngine, values: dict[str, Any], shared: "_Shared | None" = None
    ) -> Sequence[Row]:
        if engine.dialect.driver == "asyncpg":
            compiled = self._compile(engine.dialect)
            try:
                return await compiled.ask(engine, values, shared)
            except (TimeoutError, SQLAlchemyError, UnreachableError, PoolerError):
                # Not asked again: nobody waits twice for a connection.
                raise
            except Exception as error:
                if getattr(error, "sqlstate", None) in _TOO_LATE:
                    # Not asked again: nobody waits twice.
                    raise TimeoutError(str(error)) from error
                if not self._is_undone(error):
                    raise ConnectionError("the connection broke") from error
                # Asked again, it has SQLAlchemy's class.
        async with engine.begin() as connection:
            return _rows(await connection.execute(self.statement, _called(values)))

    def _is_undone(self, error: Exception) -> bool:
        """Whether it can be done once more: it was refused, or changes nothing."""
        sqlstate = getattr(error, "sqlstate", None) or _CONNECTION_CLASS
        return isinstance(self.statement, Select) or not sqlstate.startswith(_CONNECTION_CLASS)

    async def _ask_within(self, session: AsyncSession, values: dict[str, Any]) -> Sequence[Row]:
        """On its connection: maybe a replica's, chosen for what the caller wrote.

        Or that of a test, which undoes everything at its end, whatever was committed.
        """
        if isinstance(session.bind, AsyncEngine) and not isinstance(self.statement, Select):
            raise TypeError("what is committed at once has no place in a transaction")
        await session.flush()
        connection = await session.connection()
        return _rows(await connection.execute(self.statement, _called(values)))

    def _compile(self, dialect: Dialect) -> "_Compiled":
        if self._compiled is None:
            self._compiled = _Compiled(self.statement, dialect)
        return self._compiled


@contextmanager
def one_connection(session: AsyncSession) -> Iterator[None]:
    """Have the statements that are asked of the session share a connection: a checkout costs time.

    Each is still committed at once. Nothing else is to be waited for meanwhile, least of all
    another connection: `BaseRepository.release` gives this one back, too.
    """
    if SHARED_CONNECTION in session.info:
        yield
        return
    session.info[SHARED_CONNECTION] = _Shared()
    try:
        yield
    finally:
        give_back(session)
        del session.info[SHARED_CONNECTION]


def give_back(session: AsyncSession) -> None:
    """The connection that its statements share, if they do and there is one."""
    shared: _Shared | None = session.info.get(SHARED_CONNECTION)
    if shared is not None and (pooled := shared.take()) is not None:
        pooled.close()


class _Shared:
    """Holds the connection between two statements."""

    def __init__(self) -> None:
        self._pooled: PoolProxiedConnection | None = None

    def take(self) -> PoolProxiedConnection | None:
        """None if there is none, or none any more: the driver knows without asking the server."""
        pooled, self._pooled = self._pooled, None
        driver: Any = pooled and pooled.driver_connection
        if pooled is not None and driver.is_closed():
            pooled.invalidate()
            return None
        return pooled

    def keep(self, pooled: PoolProxiedConnection) -> None:
        self._pooled = pooled


def _rows(result: CursorResult[Any]) -> Sequence[Row]:
    return result.all() if result.returns_rows else ()


def _called(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value() if callable(value) else value for name, value in values.items()}


class _Compiled:
    """The text of a statement for the driver, and how its values come into the text's order."""

    def __init__(self, statement: Statement, dialect: Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect)
        if compiled.post_compile_params:
            raise TypeError("a statement whose text depends on its values cannot be prepared")
        self._text: str = compiled.string
        self._binds = [_Bind(compiled.binds[name], dialect) for name in compiled.positiontup]

    async def ask(
        self, engine: AsyncEngine, values: dict[str, Any], shared: "_Shared | None"
    ) -> Sequence[Row]:
        pooled = None if shared is None else shared.take()
        if pooled is None:
            pooled = await engine.raw_connection()
        driver: Any = pooled.driver_connection
        rows: Sequence[Row]
        try:
            rows = await driver.fetch(self._text, *self._positional(values))
        except BaseException as error:
            if getattr(error, "sqlstate", None) and not driver.is_closed():
                # The server refused it, and that is all.
                pooled.close()
            else:
                # Also of a request that was cancelled: nobody knows what the connection is about.
                pooled.invalidate()
            raise
        if shared is None:
            pooled.close()
        else:
            shared.keep(pooled)
        return rows

    def _positional(self, values: dict[str, Any]) -> list[Any]:
        return [bind.value(values) for bind in self._binds]


class _Bind:
    def __init__(self, bind: BindParameter[Any], dialect: Dialect) -> None:
        self._name = bind.key
        self._process: Callable[[Any], Any] | None = bind.type.dialect_impl(dialect).bind_processor(
            dialect
        )
        # What is no parameter of the request's is a constant of the statement.
        self._constants = {} if bind.required else {bind.key: self._processed(bind.effective_value)}

    def value(self, values: dict[str, Any]) -> Any:
        if self._name in self._constants:
            return self._constants[self._name]
        value = values[self._name]
        return self._processed(value() if callable(value) else value)

    def _processed(self, value: Any) -> Any:
        return value if self._process is None else self._process(value)
