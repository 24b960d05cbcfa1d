"""The modes of DATABASE_POOLER, without a pooler. For a real PgBouncer see mscr/tests/deploy."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final, Self

import asyncpg
import pytest
from sqlalchemy import NullPool, func, make_url, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from examples.catalogue.core.config import Settings
from examples.catalogue.db.session import Database
from examples.catalogue.project import project
from mscr.cli.faults import Fault, database_faults
from mscr.connections.pooler import Pooler, PoolerError
from mscr.db.driver_connection import RenewingConnection
from mscr.db.poolers import PooledConnect, misdeclared, unprepared_arguments
from mscr.queries.prepared_statement import PreparedStatement
from mscr.testing.databases import on_postgresql

IN_FORCE: Final = (
    "statement_timeout",
    "lock_timeout",
    "idle_in_transaction_session_timeout",
    "transaction_read_only",
)
SETTINGS: Final = PreparedStatement(select(*(func.current_setting(name) for name in IN_FORCE)))
PREPARED: Final = text("SELECT count(*) FROM pg_prepared_statements")
modes = pytest.mark.parametrize("mode", list(Pooler))


@pytest.fixture
async def declared(settings: Settings, mode: Pooler) -> AsyncIterator[Database]:
    database = Database(
        settings.model_copy(
            update={
                "DATABASE_POOLER": mode,
                "DATABASE_STATEMENT_TIMEOUT_SECONDS": 7,
                "DATABASE_LOCK_TIMEOUT_SECONDS": 3,
                "DATABASE_IDLE_TRANSACTION_TIMEOUT_SECONDS": 9,
            }
        )
    )
    yield database
    await database.close()


@on_postgresql
@modes
async def test_deadlines_and_read_only_mode_are_in_force_in_every_mode(declared: Database) -> None:
    for sessions, engine, read_only in (
        (declared.sessions, declared.engine, "off"),
        (declared.read_sessions, declared.read_engine, "on"),
    ):
        async with sessions() as session:
            in_a_session = (await session.execute(SETTINGS.statement)).one()
            within = await SETTINGS.one_or_none(session)
        past_it = await SETTINGS.one_or_none(engine)

        expected = ("7s", "3s", "9s", read_only)
        assert within is not None
        assert past_it is not None
        assert {tuple(in_a_session), tuple(within), tuple(past_it)} == {expected}


@on_postgresql
@modes
async def test_settings_of_the_url_are_in_force_in_every_mode(
    settings: Settings, mode: Pooler
) -> None:
    """A pooler refuses such settings when a session starts, so they are applied later."""
    url = f"{settings.DATABASE_URL}&search_path=it's,public&prepared_statement_cache_size=9"
    update = {"DATABASE_POOLER": mode, "DATABASE_URL": url}
    database = Database(settings.model_copy(update=update))
    path = PreparedStatement(select(func.current_setting("search_path")))
    async with database.sessions() as session, database.read_sessions() as reading:
        found = [
            (await session.execute(path.statement)).one()[0],
            (await reading.execute(path.statement)).one()[0],
            await path.scalar(database.engine),
        ]
    await database.close()

    assert set(found) == {"it's,public"}


@on_postgresql
@pytest.mark.parametrize("mode", [Pooler.TRANSACTION])
async def test_no_state_stays_in_a_server_session_that_another_client_may_get(
    declared: Database,
) -> None:
    async with declared.sessions() as session:
        await session.execute(SETTINGS.statement)
        await session.rollback()
        await SETTINGS.one_or_none(declared.engine)
        pooled = await declared.engine.raw_connection()
        driver: Any = pooled.driver_connection
        left = await driver.fetchrow(f"SELECT ({PREPARED}), current_setting('statement_timeout')")
        pooled.close()

    assert tuple(left) == (0, "0")


@on_postgresql
@pytest.mark.parametrize("mode", [Pooler.TRANSACTION])
async def test_a_transaction_that_cannot_begin_costs_its_connection(declared: Database) -> None:
    """After a failed BEGIN, the driver would take the next transaction for a savepoint."""
    pooled = await declared.engine.raw_connection()
    driver: Any = pooled.driver_connection
    with pytest.raises(asyncpg.PostgresError):
        await driver.execute("BEGIN nonsense;")

    assert driver.is_closed()
    pooled.invalidate()


@on_postgresql
@modes
async def test_migrations_have_no_deadlines_and_prepare_nothing_in_every_mode(
    database_url: str, mode: Pooler
) -> None:
    arguments = unprepared_arguments(mode, application_name="migrating", setting="POOLER")
    engine = create_async_engine(database_url, connect_args=arguments, poolclass=NullPool)
    async with engine.connect() as connection:
        in_force = (await connection.execute(SETTINGS.statement)).one()
        name = await connection.scalar(select(func.current_setting("application_name")))

        assert tuple(in_force) == ("0", "0", "0", "off")
        assert name == "migrating"
        assert await connection.scalar(PREPARED) == 0


@on_postgresql
@pytest.mark.parametrize("mode", [Pooler.TRANSACTION])
async def test_a_fetch_in_a_transaction_is_part_of_it(declared: Database) -> None:
    pooled = await declared.engine.raw_connection()
    driver: Any = pooled.driver_connection
    async with driver.transaction():
        [[before]] = await driver.fetch("SELECT pg_current_xact_id()::text")
        [[after]] = await driver.fetch("SELECT pg_current_xact_id()::text")
    pooled.close()

    assert before == after


def test_commands_name_the_wrong_setting() -> None:
    settings = project.get_settings()
    with pytest.raises(Fault, match="POOLER is none; set it"), database_faults(settings):
        raise PoolerError("POOLER is none", "set it")


class SharedSession:
    """A client of a transaction pooler that has a single server connection for all clients."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def get_server_pid(self) -> int:
        return 1

    def terminate(self) -> None:
        """Do nothing: other clients use the session too."""


@pytest.fixture
async def connect_arguments(database_url: str) -> dict[str, Any]:
    url = make_url(database_url)
    return {"user": url.username, "database": url.database, **url.query}


async def connect(**options: Any) -> Any:
    return await asyncpg.connect(connection_class=RenewingConnection, **options)


@on_postgresql
@pytest.mark.parametrize("mode", [Pooler.NONE, Pooler.SESSION])
async def test_a_transaction_pooler_is_detected_with_the_first_connection(
    connect_arguments: dict[str, Any], mode: Pooler
) -> None:
    session = await connect(**connect_arguments)

    async def join(**_: Any) -> Any:
        return SharedSession(session)

    pooled = PooledConnect(mode, {}, setting="POOLER", connect=join)
    with pytest.raises(PoolerError, match=f"POOLER is {mode.value}.*set POOLER=transaction"):
        await pooled(timeout=10)
    await session.close()


@on_postgresql
async def test_a_pooler_without_a_second_connection_does_not_count_as_shared(
    connect_arguments: dict[str, Any],
) -> None:
    session = await connect(**connect_arguments)
    clients = [SharedSession(session)]

    async def join(**_: Any) -> Any:
        if not clients:
            raise TimeoutError
        return clients.pop()

    deadlines = {"statement_timeout": "7000"}
    pooled = PooledConnect(Pooler.SESSION, deadlines, setting="POOLER", connect=join)

    assert await pooled(timeout=10) is not None
    await session.close()


class LeftWaiting:
    """A client that the pooler accepts and never assigns a server connection to."""

    def transaction(self) -> Self:
        return self

    async def __aenter__(self) -> None:
        await asyncio.Event().wait()

    async def __aexit__(self, *_: object) -> None: ...

    def terminate(self) -> None:
        self.is_terminated = True


@pytest.mark.parametrize(
    ("mode", "expected"),
    [(Pooler.NONE, TimeoutError), (Pooler.SESSION, PoolerError), (Pooler.TRANSACTION, PoolerError)],
)
async def test_a_pooler_without_a_server_connection_is_named(
    mode: Pooler, expected: type[Exception]
) -> None:
    """A timeout here would otherwise suggest a wrong host, port or firewall rule."""
    waiting = LeftWaiting()

    async def connect(**_: Any) -> LeftWaiting:
        return waiting

    with pytest.raises(expected) as caught:
        await PooledConnect(mode, {}, setting="P", connect=connect)(timeout=0.01)

    assert ("default_pool_size" in str(caught.value)) == (expected is PoolerError)
    assert waiting.is_terminated


@on_postgresql
async def test_deadlines_that_a_pooler_drops_are_detected(
    connect_arguments: dict[str, Any],
) -> None:
    pooled = PooledConnect(
        Pooler.NONE, {"statement_timeout": "7000"}, setting="POOLER", connect=connect
    )
    with pytest.raises(PoolerError, match="dropped the timeouts"):
        await pooled(timeout=10, **connect_arguments)


REFUSALS: Final = {
    (Pooler.NONE, "unsupported startup parameter: lock_timeout"): "set P=session or transaction",
    (Pooler.SESSION, "unsupported startup parameter: search_path"): "an option of the URL",
    (Pooler.TRANSACTION, "not allowed in statement pooling mode"): "set its pool_mode",
    (Pooler.NONE, "prepared statement does not exist"): "P is none, but a pooler assigns",
}


@pytest.mark.parametrize(("refused", "told"), REFUSALS.items())
def test_a_refusal_of_a_pooler_is_reported_with_the_setting_to_change(
    refused: tuple[Pooler, str], told: str
) -> None:
    mode, words = refused
    lacking = asyncpg.InvalidSQLStatementNameError(words)
    refusing = asyncpg.ProtocolViolationError(words)
    error = lacking if "prepared" in words else refusing

    found = misdeclared(error, mode, setting="P")

    assert found is not None
    assert told in str(found)


@on_postgresql
async def test_a_refusal_while_connecting_is_a_pooler_error(database_url: str) -> None:
    async def refuse(**_: Any) -> Any:
        raise asyncpg.ProtocolViolationError("unsupported startup parameter: lock_timeout")

    async def fail(**_: Any) -> Any:
        raise asyncpg.TooManyConnectionsError("sorry")

    for connecting, expected in ((refuse, PoolerError), (fail, asyncpg.TooManyConnectionsError)):
        with pytest.raises(expected):
            await PooledConnect(Pooler.NONE, {}, setting="P", connect=connecting)(timeout=10)


@on_postgresql
async def test_the_error_of_a_missing_prepared_statement_names_the_setting(
    database: Database,
) -> None:
    """As after a change of the pooler's mode while the application runs."""
    async with database.read_sessions() as session:
        with pytest.raises(PoolerError, match="DATABASE_POOLER is none"):
            await session.execute(text("EXECUTE nothing"))
    async with database.read_sessions() as session:
        with pytest.raises(DBAPIError, match="division by zero"):
            await session.execute(text("SELECT 1 / 0"))
