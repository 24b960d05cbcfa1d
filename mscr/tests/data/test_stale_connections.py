"""Connections that a firewall or NAT has forgotten are replaced before a request uses them."""

import asyncio
import secrets
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from examples.catalogue.core.config import Settings
from examples.catalogue.main import create_app
from examples.catalogue.tests.api import Api
from mscr.connections.keepalive import keep_alive
from mscr.db.driver_connection import RenewingConnection, SessionEndedError
from mscr.db.stale_connections import CHECK_DEADLINE
from mscr.services.health_service import READY_DEADLINE
from mscr.testing.api import Account
from mscr.testing.postgres import PORT, PostgresServer
from mscr.testing.silent_proxy import SilentProxy, silent_proxy
from mscr.tests.data.faults import TEMPLATE, assert_unavailable, private_server, read, write

if TYPE_CHECKING:
    from examples.catalogue.db.session import Database

# Without the check, a request waits 11 s for its deadline, and shutdown 11 s per connection.
SOON = 8
# The checks of so many dead connections take longer than that.
IDLE = 10


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with private_server() as own:
        yield own


@pytest.fixture
async def proxy(server: PostgresServer) -> AsyncIterator[SilentProxy]:
    async with silent_proxy(server.scratch.path / f".s.PGSQL.{PORT}") as proxy:
        yield proxy


@pytest.fixture
async def database_url(server: PostgresServer, proxy: SilentProxy) -> AsyncIterator[str]:
    name = f"test_{secrets.token_hex(8)}"
    await server.create_database(name, template=TEMPLATE)
    yield f"postgresql+asyncpg://postgres@127.0.0.1:{proxy.port}/{name}"
    await server.drop_database(name)


@pytest.fixture
async def account(api: Api) -> Account:
    return await api.register()


def test_only_tcp_is_kept_alive() -> None:
    with socket.socket(socket.AF_UNIX) as local, socket.socket() as remote:
        for each in (local, remote):
            keep_alive(each, after=timedelta(seconds=7))

        assert local.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0
        assert remote.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        if sys.platform == "linux":
            assert remote.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 7


@pytest.mark.settings(TCP_KEEPALIVE_SECONDS=7)
async def test_connections_to_the_database_are_kept_alive(database: "Database") -> None:
    """Keepalive packets keep the connection in the tables of firewalls on the way."""
    async with database.engine.connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None
        own = driver._transport.get_extra_info("socket")

        assert own.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


every_time = pytest.mark.settings(DATABASE_IDLE_CHECK_SECONDS=0)


@every_time
async def test_requests_after_a_silence_are_answered(
    api: Api, account: Account, proxy: SilentProxy
) -> None:
    """RL2: every pooled connection is dead and looks alive."""
    await asyncio.gather(*(write(api, account) for _ in range(4)))
    await asyncio.gather(*(read(api, account) for _ in range(4)))
    proxy.fall_silent()

    started = time.monotonic()
    answers = [await write(api, account), await read(api, account)]
    answers += await asyncio.gather(*(write(api, account) for _ in range(8)))

    assert {answer.status_code for answer in answers} <= {200, 201}
    assert time.monotonic() - started < SOON


@every_time
async def test_connections_that_were_idle_for_longer_than_a_dead_one_are_not_checked(
    database: "Database", proxy: SilentProxy
) -> None:
    """RL2: otherwise requests would wait for the check of each connection in turn."""
    idle_longest = [await database.read_engine.connect() for _ in range(IDLE)]
    for connection in (*idle_longest, await database.engine.connect()):
        await connection.close()
    proxy.fall_silent()

    started = time.monotonic()
    async with AsyncExitStack() as stack:
        for engine in (database.engine, *[database.read_engine] * IDLE):
            _ = await stack.enter_async_context(engine.connect())

    # The check of the first one takes a second.
    assert time.monotonic() - started < SOON


@every_time
async def test_readiness_after_a_silence_is_200(client: AsyncClient, proxy: SilentProxy) -> None:
    # Tests raise the latter, which was imported before.
    assert 2 * CHECK_DEADLINE <= READY_DEADLINE
    await client.get("/health/ready")
    proxy.fall_silent()

    assert (await client.get("/health/ready")).status_code == 200


@pytest.mark.settings(DATABASE_IDLE_CHECK_SECONDS=60)
async def test_sessions_that_the_server_ends_cost_no_request(
    api: Api, account: Account, proxy: SilentProxy
) -> None:
    """A request may arrive between the server's last message and the end of the connection."""
    await asyncio.gather(*(write(api, account) for _ in range(3)))
    await read(api, account)
    proxy.say_goodbye()
    await asyncio.sleep(0.05)  # the driver sends no signal to wait for

    answers = await asyncio.gather(*(write(api, account) for _ in range(3)), read(api, account))

    assert [answer.status_code for answer in answers] == [201, 201, 201, 200]


@pytest.mark.parametrize(
    ("use", "arguments"),
    [
        ("prepare", ("BEGIN",)),
        ("fetch", ("BEGIN",)),
        ("execute", ("BEGIN",)),
        ("execute", ("COMMIT",)),
        ("execute", ("ROLLBACK",)),
        ("executemany", ("SELECT $1::text", [("a",)])),
    ],
)
async def test_the_error_of_an_ended_session_names_its_cause(
    database_url: str, proxy: SilentProxy, use: str, arguments: tuple[Any, ...]
) -> None:
    connection = await asyncpg.connect(
        database_url.replace("+asyncpg", ""), connection_class=RenewingConnection
    )
    proxy.say_goodbye()
    await asyncio.sleep(0.05)  # the driver sends no signal to wait for

    with pytest.raises(SessionEndedError, match="ended the session"):
        await getattr(connection, use)(*arguments)

    assert connection.is_closed()


@pytest.mark.settings(DATABASE_IDLE_CHECK_SECONDS=60)
async def test_a_connection_in_use_is_not_checked(
    api: Api, account: Account, proxy: SilentProxy
) -> None:
    await write(api, account)
    before = proxy.accepted
    for _ in range(5):
        assert (await write(api, account)).status_code == 201

    assert proxy.accepted == before


@every_time
async def test_a_server_that_is_silent_to_all_is_answered_with_503(
    api: Api, account: Account, proxy: SilentProxy
) -> None:
    """RL6."""
    await write(api, account)
    proxy.swallow_all()

    started = time.monotonic()
    assert_unavailable(await write(api, account))

    # The idle check takes a second, and the timeout for a new connection three.
    assert time.monotonic() - started < SOON


@pytest.mark.settings(DATABASE_POOL_RECYCLE_SECONDS=1, DATABASE_IDLE_CHECK_SECONDS=60)
async def test_an_old_connection_is_replaced_before_use(
    api: Api, account: Account, proxy: SilentProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write(api, account)
    before = proxy.accepted
    later = time.monotonic() + 2
    monkeypatch.setattr("mscr.db.stale_connections.monotonic", lambda: later)
    proxy.fall_silent()

    assert (await write(api, account)).status_code == 201
    assert proxy.accepted > before


# All connections together may take a quarter of that.
@pytest.mark.settings(SHUTDOWN_TIMEOUT_SECONDS=SOON)
async def test_shutdown_does_not_wait_for_silent_connections(
    settings: Settings, proxy: SilentProxy
) -> None:
    """RL7."""
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        await fill_pools(app)
        proxy.swallow_all()
        started = time.monotonic()

    assert time.monotonic() - started < SOON


async def fill_pools(app: FastAPI) -> None:
    database: Database = app.state.database
    for engine in (database.engine, database.read_engine):
        connections = [await engine.connect() for _ in range(3)]
        for connection in connections:
            await connection.close()
