"""Connect to PostgreSQL through a pooler such as PgBouncer, and detect a wrongly declared one.

Timeouts and read-only mode are settings of a server session. The pooler decides how to set them:

- Without a pooler they are startup parameters, which poolers refuse.
- Session pooling keeps settings that are `SET` after connecting.
- Transaction pooling keeps nothing: `SET LOCAL` is sent with each BEGIN.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import asyncpg
from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext

from mscr.connections.pooler import Pooler, PoolerError
from mscr.db.driver_connection import RenewingConnection, transactions_that_begin_with

Connect = Callable[..., Awaitable[Any]]

# SQLSTATEs of a prepared statement that does not exist, or that another client has prepared.
_FOREIGN_STATEMENT: Final = ("26000", "42P05")
# Parts of poolers' messages. Their SQLSTATE is shared with many other faults.
_REFUSED_PARAMETER: Final = "startup parameter"
_STATEMENT_POOLING: Final = "statement pooling"
# Startup parameters that every pooler accepts.
_PASSED_BY_POOLERS: Final = frozenset({"application_name", "client_encoding"})
# A second connection shows whether clients share server sessions. If it must wait for a session,
# they do not.
_PROOF_SECONDS: Final = 1.0
_BACKEND: Final = "SELECT pg_backend_pid(), pg_postmaster_start_time()"
_IN_FORCE: Final = "SELECT name, setting FROM pg_settings WHERE name = ANY($1)"


def pooler_arguments(
    pooler: Pooler,
    deadlines: Mapping[str, str],
    *,
    read_only: bool,
    application_name: str,
    setting: str,
    connect: Connect = asyncpg.connect,
) -> dict[str, Any]:
    """Return the `connect_args` of SQLAlchemy that put the timeouts in force behind this pooler.

    `setting` is the name of the setting that declares the pooler, for messages.
    """
    parameters = {**deadlines, "default_transaction_read_only": "on" if read_only else "off"}
    server_settings = {"application_name": application_name}
    arguments: dict[str, Any] = {
        "async_creator_fn": PooledConnect(pooler, parameters, setting=setting, connect=connect),
        "connection_class": RenewingConnection,
        "server_settings": server_settings,
    }
    if pooler is Pooler.NONE:
        server_settings.update(parameters)
    if pooler is Pooler.TRANSACTION:
        opening = _assignments("SET LOCAL", deadlines)
        # Never send READ WRITE: a standby refuses it at BEGIN, with a misleading message.
        opening += "SET TRANSACTION READ ONLY;" if read_only else ""
        # Named prepared statements belong to a server session, so disable them.
        arguments |= {"statement_cache_size": 0, "prepared_statement_cache_size": 0}
        arguments["connection_class"] = transactions_that_begin_with(opening)
    return arguments


def unprepared_arguments(
    pooler: Pooler, *, application_name: str, setting: str, connect: Connect = asyncpg.connect
) -> dict[str, Any]:
    """Return `connect_args` for migrations: no timeouts, and no named prepared statements.

    They also work behind a pooler in transaction mode that the settings do not declare.
    """
    arguments: dict[str, Any] = {
        "server_settings": {"application_name": application_name},
        "statement_cache_size": 0,
        "prepared_statement_cache_size": 0,
    }
    if pooler is not Pooler.NONE:
        arguments["async_creator_fn"] = PooledConnect(pooler, {}, setting=setting, connect=connect)
        arguments["connection_class"] = transactions_that_begin_with("")
    return arguments


class PooledConnect:
    """Connects, and raises `PoolerError` if the pooler is evidently not the declared one."""

    def __init__(
        self, pooler: Pooler, parameters: Mapping[str, str], *, setting: str, connect: Connect
    ) -> None:
        self._pooler = pooler
        self._parameters = parameters
        self._setting = setting
        self._connect = connect
        # The pooler is examined on the first connection only.
        self._is_proved = False

    async def __call__(self, *args: Any, timeout: float | None = None, **kwargs: Any) -> Any:  # noqa: ASYNC109  # the driver's
        of_url = self._take_settings(kwargs)
        try:
            connection = await self._connect(*args, timeout=timeout, **kwargs)
            try:
                async with asyncio.timeout(timeout):
                    await self._prepare(connection, of_url, *args, **kwargs)
            except BaseException as error:
                connection.terminate()
                if isinstance(error, TimeoutError) and self._pooler is not Pooler.NONE:
                    raise _no_server_connection() from None
                raise
        except asyncpg.PostgresError as error:
            if (found := misdeclared(error, self._pooler, setting=self._setting)) is not None:
                raise found from None
            raise
        return connection

    def _take_settings(self, kwargs: dict[str, Any]) -> dict[str, str]:
        """Remove and return the URL's startup parameters that poolers refuse (a search path)."""
        if self._pooler is Pooler.NONE:
            return {}
        settings: dict[str, str] = dict(kwargs.get("server_settings", {}))
        names = _PASSED_BY_POOLERS & settings.keys()
        kwargs["server_settings"] = {name: settings.pop(name) for name in names}
        if self._pooler is Pooler.TRANSACTION:
            # Overrides the URL too: named prepared statements belong to a server session.
            kwargs["statement_cache_size"] = 0
        return settings

    async def _prepare(
        self, connection: Any, of_url: dict[str, str], *args: Any, **kwargs: Any
    ) -> None:
        if not self._is_proved:
            backend = await _in_transaction(connection, _BACKEND)
            if self._pooler is not Pooler.TRANSACTION:
                await self._require_own_session(backend, connection, *args, **kwargs)
            self._is_proved = True
        if self._pooler is Pooler.TRANSACTION:
            connection.opening += _configurations(of_url, is_local=True)
        elif self._pooler is Pooler.SESSION:
            assignments = _assignments("SET SESSION", self._parameters)
            if settings := assignments + _configurations(of_url, is_local=False):
                await connection.execute(settings)

    async def _require_own_session(
        self, backend: Any, connection: Any, *args: Any, **kwargs: Any
    ) -> None:
        if self._pooler is Pooler.NONE:
            await self._require_parameters(connection)
        # A pooler sends each client an invented process id.
        is_pooled = backend[0][0] != connection.get_server_pid()
        if is_pooled and backend == await self._other_backend(*args, **kwargs):
            raise _shared_sessions(self._pooler, setting=self._setting)

    async def _other_backend(self, *args: Any, **kwargs: Any) -> Any:
        """Return the server session of a second connection, or None if none can be opened."""
        with suppress(OSError, asyncpg.PostgresError):
            async with asyncio.timeout(_PROOF_SECONDS):
                other = await self._connect(*args, **kwargs)
                try:
                    return await _in_transaction(other, _BACKEND)
                finally:
                    other.terminate()
        return None

    async def _require_parameters(self, connection: Any) -> None:
        rows = await _in_transaction(connection, _IN_FORCE, list(self._parameters))
        if dict(rows) != self._parameters:
            raise PoolerError(
                f"{self._setting} is none, but a pooler dropped the timeouts",
                f"set {self._setting}=session or transaction, as its pool_mode",
            )


def report_shared_sessions(engine: Engine, pooler: Pooler, *, setting: str) -> None:
    """Raise `PoolerError` for errors that only a pooler causes, e.g. after a change of its mode."""

    @event.listens_for(engine, "handle_error")
    def name_the_setting(context: ExceptionContext) -> BaseException | None:
        found = misdeclared(context.original_exception, pooler, setting=setting)
        context.is_disconnect |= found is not None
        return found


async def _in_transaction(connection: Any, query: str, *values: Any) -> Any:
    """Run a query that works behind any pooler: in a transaction, and with no named statement."""
    async with connection.transaction():
        statement = await connection.prepare(query, name="")
        return await statement.fetch(*values)


def misdeclared(error: BaseException, pooler: Pooler, *, setting: str) -> PoolerError | None:
    """Return a `PoolerError` if the error contradicts the declared pooler, else None."""
    text = str(error)
    if _REFUSED_PARAMETER in text and pooler is Pooler.NONE:
        return PoolerError(
            f"{setting} is none, but a pooler in front of the database refuses startup parameters",
            f"set {setting}=session or transaction, as its pool_mode",
        )
    if _REFUSED_PARAMETER in text:
        return PoolerError(
            f"the pooler in front of the database refuses an option of the URL: {text}",
            "remove it, or add it to the pooler's ignore_startup_parameters",
        )
    if _STATEMENT_POOLING in text:
        return PoolerError(
            "the pooler in front of the database pools statements, which breaks transactions",
            f"set its pool_mode to transaction, and {setting}=transaction",
        )
    if getattr(error, "sqlstate", None) in _FOREIGN_STATEMENT:
        return _shared_sessions(pooler, setting=setting)
    return None


def _no_server_connection() -> PoolerError:
    """Return the error for a pooler that accepts a client, and then runs none of its statements."""
    return PoolerError(
        "the pooler in front of the database had no server connection free in time",
        "raise default_pool_size, reduce the pools of its clients, or check that its server "
        "responds",
    )


def _shared_sessions(pooler: Pooler, *, setting: str) -> PoolerError:
    return PoolerError(
        f"{setting} is {pooler.value}, but a pooler assigns another session to each transaction",
        f"set {setting}=transaction",
    )


def _assignments(verb: str, parameters: Mapping[str, str]) -> str:
    return "".join(f"{verb} {name} = '{value}';" for name, value in parameters.items())


def _configurations(settings: Mapping[str, str], *, is_local: bool) -> str:
    """Return SQL that sets the values of a URL's parameters, each as one text (lists as well)."""
    return "".join(
        f"SELECT set_config({_quoted(name)}, {_quoted(value)}, {str(is_local).lower()});"
        for name, value in settings.items()
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
