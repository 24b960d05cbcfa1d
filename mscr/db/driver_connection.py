"""Connections of asyncpg that survive a change of the schema, and a pooler for transactions.

PostgreSQL refuses a prepared statement whose result has changed since it was prepared, as by
`ALTER COLUMN ... TYPE`. Each connection has its own statements, so without this module each of
them would fail once after such a change.
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

# The driver's words between a server's goodbye to an idle session and the end of its connection.
_GOODBYE_IS_READ: Final = "another operation (2) is in progress"
# PostgreSQL's words for a type that was dropped, or dropped and created anew: XX000 has no other.
_TYPE_IS_GONE: Final = "cache lookup failed for type"


class SchemaChanges:
    """Counts the schema changes that the process has met, on whichever of its connections."""

    def __init__(self) -> None:
        self.count = 0


CHANGES: Final = SchemaChanges()


def is_outdated(error: BaseException) -> bool:
    """Return whether the driver's error means that a statement must be prepared anew."""
    if isinstance(error, InvalidCachedStatementError | OutdatedSchemaCacheError):
        return True
    return isinstance(error, InternalServerError) and _TYPE_IS_GONE in str(error)


class SessionEndings:
    """Notes when the process last met a session that the server had ended."""

    def __init__(self) -> None:
        self.latest = 0.0


# A server that ends one session most likely stops, and ends them all.
ENDINGS: Final = SessionEndings()


class SessionEndedError(asyncpg.AdminShutdownError):  # type: ignore[misc]  # the driver has no types
    """The server ended the session before it got a statement: nothing was done."""


class RenewingConnection(asyncpg.Connection):  # type: ignore[misc]  # the driver has no types
    """Prepares outdated statements anew: at once outside of a transaction, else if possible.

    Inside of one it is possible for the first statement: the transaction is begun once more. A
    later statement fails, as the transaction is lost; others are prepared anew before they fail.
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
            return await super().execute(query, *args, timeout=timeout)
        try:
            status = await super().execute(query + self.opening, timeout=timeout)
        except BaseException as error:
            # The driver believes that the transaction began: its next one would be a savepoint.
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
        return await super().executemany(*args, **kwargs)

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
        """Return `SessionEndedError` if the driver's error means that, else the error itself."""
        if not isinstance(error, InternalClientError) or _GOODBYE_IS_READ not in str(error):
            return error
        self.terminate()
        ENDINGS.latest = monotonic()
        return SessionEndedError("the server ended the session while it was idle")

    def take_freshness(self) -> bool:
        """Return whether nothing was done in the transaction yet; from now on, something is."""
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
    """Uses no state of a session: whoever pools transactions may assign any session to each.

    A fetch outside of a transaction gets one of its own. So everything happens under the
    settings that come with BEGIN, on one session of the server.
    """

    async def fetch(self, query: str, *values: Any, **options: Any) -> Any:
        if self.is_in_transaction():
            return await super().fetch(query, *values, **options)
        async with self.transaction():
            return await super().fetch(query, *values, **options)


def transactions_that_begin_with(opening: str) -> type[TransactionConnection]:
    """Return the class of connections that send these statements with each BEGIN."""
    return type("TransactionConnection", (TransactionConnection,), {"opening": opening})
