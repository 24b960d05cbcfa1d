"""Connections of asyncpg that survive a change of the schema, and transaction pooling.

PostgreSQL refuses a prepared statement ("cached plan must not change result type") if the types of
its result have changed since it was prepared, for example by `ALTER COLUMN ... TYPE`. Each
connection has its own prepared statements. Without this module, each of them would fail once after
such a change.
"""

from time import monotonic
from typing import Any, Final

import asyncpg
from asyncpg.exceptions import (
    InternalClientError,
    InternalServerError,
    InvalidCachedStatementError,
    OutdatedSchemaCacheError,
)

# The driver's message if it is used after the server has ended an idle session, and before the
# connection is closed.
_GOODBYE_IS_READ: Final = "another operation (2) is in progress"
# PostgreSQL's message for a type that was dropped, or dropped and created anew. It has no SQLSTATE
# but XX000 (internal error).
_TYPE_IS_GONE: Final = "cache lookup failed for type"


class SchemaChanges:
    """Counts the schema changes that this process has met, on any of its connections."""

    def __init__(self) -> None:
        self.count = 0


CHANGES: Final = SchemaChanges()


def is_outdated(error: BaseException) -> bool:
    """Return whether the driver's error means that a statement must be prepared anew."""
    if isinstance(error, InvalidCachedStatementError | OutdatedSchemaCacheError):
        return True
    return isinstance(error, InternalServerError) and _TYPE_IS_GONE in str(error)


class SessionEndings:
    """Records when this process last met a database session that the server had ended."""

    def __init__(self) -> None:
        self.latest = 0.0


# A server that ends one session is most likely shutting down, and ends all of them.
ENDINGS: Final = SessionEndings()


class SessionEndedError(asyncpg.AdminShutdownError):  # type: ignore[misc]  # the driver has no types
    """The server ended the database session before it got the statement: nothing was done."""


class RenewingConnection(asyncpg.Connection):  # type: ignore[misc]  # the driver has no types
    """Prepares outdated statements anew, and executes them again where that is safe.

    - Outside of a transaction, and for the first statement of one: prepare anew and execute
      again. In the latter case, the transaction is rolled back and begun again first.
    - For a later statement of a transaction: raise the error, because the earlier work is lost.
    - Other statements, on all connections: prepare anew before their next use.
    """

    # SQL that is sent together with BEGIN, in the same round trip.
    opening = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._begin = ""
        self._is_fresh = False

    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> Any:  # noqa: ASYNC109  # the driver's
        if not query.startswith("BEGIN"):
            self._is_fresh = False
            try:
                return await super().execute(query, *args, timeout=timeout)
            except InternalClientError as error:
                raise self.cause_of(error) from None
        try:
            status = await super().execute(query + self.opening, timeout=timeout)
        except BaseException as error:
            # asyncpg counts the transaction as begun, and would turn the next into a savepoint.
            self.terminate()
            if (ended := self.cause_of(error)) is not error:
                raise ended from None
            raise
        self._begin, self._is_fresh = query, True
        return status

    async def fetch(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().fetch(*args, **options)
        except InternalClientError as error:
            raise self.cause_of(error) from None

    async def executemany(self, *args: Any, **kwargs: Any) -> Any:
        self._is_fresh = False
        try:
            return await super().executemany(*args, **kwargs)
        except InternalClientError as error:
            raise self.cause_of(error) from None

    async def prepare(self, query: str, **options: Any) -> Any:
        statement = RenewingStatement(self, query, options)
        await statement.renew()
        return statement

    async def prepare_now(self, query: str, options: dict[str, Any]) -> Any:
        try:
            return await super().prepare(query, **options)
        except InternalClientError as error:
            raise self.cause_of(error) from None

    def cause_of(self, error: BaseException) -> BaseException:
        """Return `SessionEndedError` if the server has ended the session, else the error itself."""
        if not isinstance(error, InternalClientError) or _GOODBYE_IS_READ not in str(error):
            return error
        self.terminate()
        ENDINGS.latest = monotonic()
        return SessionEndedError("the server ended the session while it was idle")

    def take_freshness(self) -> bool:
        """Return whether the transaction is still empty, and mark it as no longer empty."""
        was_fresh, self._is_fresh = self._is_fresh, False
        return was_fresh

    async def begin_again(self) -> None:
        await super().execute(f"ROLLBACK;{self._begin}{self.opening}")


class RenewingStatement:
    """A prepared statement, as SQLAlchemy's dialect keeps and uses it."""

    def __init__(self, connection: RenewingConnection, query: str, options: dict[str, Any]) -> None:
        self._connection = connection
        self._query = query
        self._options = options
        self._statement: Any = None
        self._changes = 0

    async def renew(self) -> None:
        """Prepare the statement anew."""
        self._changes = CHANGES.count
        self._statement = await self._connection.prepare_now(self._query, self._options)

    async def fetch(self, *values: Any) -> Any:
        connection = self._connection
        if self._changes != CHANGES.count:
            await self.renew()
        is_fresh = connection.take_freshness()
        try:
            return await self._statement.fetch(*values)
        except Exception as error:
            if not is_outdated(error):
                raise connection.cause_of(error) from None
            CHANGES.count += 1
            if connection.is_in_transaction():
                if not is_fresh:
                    raise
                await connection.begin_again()
        await connection.reload_schema_state()
        await self.renew()
        return await self._statement.fetch(*values)

    def cursor(self, *values: Any) -> Any:
        self._connection.take_freshness()
        return self._statement.cursor(*values)

    def get_attributes(self) -> Any:
        return self._statement.get_attributes()

    def get_statusmsg(self) -> Any:
        return self._statement.get_statusmsg()


class TransactionConnection(RenewingConnection):
    """Uses no state of a server session, for poolers that assign one to each transaction.

    A fetch outside of a transaction gets a transaction of its own. All statements therefore run
    under the settings that are sent with BEGIN, on one session of the server.
    """

    async def fetch(self, query: str, *values: Any, **options: Any) -> Any:
        if self.is_in_transaction():
            return await super().fetch(query, *values, **options)
        async with self.transaction():
            return await super().fetch(query, *values, **options)


def transactions_that_begin_with(opening: str) -> type[TransactionConnection]:
    """Return a connection class that sends these statements with each BEGIN."""
    return type("TransactionConnection", (TransactionConnection,), {"opening": opening})
