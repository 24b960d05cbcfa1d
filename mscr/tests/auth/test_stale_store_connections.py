"""Stale connections to the store, which broke while they were idle: no login fails."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from redis.asyncio import Redis

from examples.catalogue.core.config import Settings
from examples.catalogue.tests.api import Api
from mscr.connections.counter_store import open_counter_store
from mscr.testing.api import PASSWORD, Account
from mscr.testing.databases import on_sqlite
from mscr.testing.silent_proxy import SilentProxy, silent_proxy
from mscr.testing.valkey import ValkeyServer
from mscr.testing.waiting import until

if TYPE_CHECKING:
    from mscr.collaborators import Collaborators

pytestmark = [on_sqlite, pytest.mark.settings(RATE_LIMIT_ENABLED=True)]


@pytest.fixture(scope="module")
def server() -> Iterator[ValkeyServer]:
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv(ValkeyServer.variable, raising=False)
        with ValkeyServer() as server:
            yield server


@pytest.fixture
async def redis(server: ValkeyServer) -> AsyncIterator[Redis]:
    server.start()
    async with Redis.from_url(server.url) as client:
        yield client
        await client.replicaof("NO", "ONE")
        await client.config_set("timeout", 0)


@pytest.fixture
async def proxy(server: ValkeyServer, redis: Redis) -> AsyncIterator[SilentProxy]:
    async with silent_proxy(server.scratch.path / "valkey.sock") as proxy:
        yield proxy


@pytest.fixture
def settings(settings: Settings, proxy: SilentProxy) -> Settings:
    url = SecretStr(f"redis://127.0.0.1:{proxy.port}/0")
    return settings.model_copy(update={"REDIS_URL": url})


async def log_in(api: Api, account: Account) -> int:
    response = await api.client.post(
        "/api/v1/auth/login", json={"email": account.email, "password": PASSWORD}
    )
    return response.status_code


async def connections(redis: Redis) -> int:
    return len(await redis.client_list()) - 1


async def test_a_login_after_the_stores_idle_timeout_succeeds(
    api: Api, account: Account, redis: Redis
) -> None:
    """LG4: the store closed the idle connection."""
    assert await log_in(api, account) == 200
    await redis.config_set("timeout", 1)

    async def is_closed() -> bool:
        return await connections(redis) == 0

    # The store checks for idle connections periodically.
    await until(is_closed)

    assert await log_in(api, account) == 200


async def test_a_login_after_its_connection_was_killed_succeeds(
    api: Api, account: Account, redis: Redis
) -> None:
    assert await log_in(api, account) == 200
    await redis.client_kill_filter(_type="normal", skipme=True)

    assert await log_in(api, account) == 200


async def test_a_login_after_a_restart_of_the_store_succeeds(
    api: Api, account: Account, server: ValkeyServer
) -> None:
    """LG4: it has lost its counters and our scripts."""
    assert await log_in(api, account) == 200
    await asyncio.to_thread(server.stop)
    await asyncio.to_thread(server.start)

    assert await log_in(api, account) == 200


async def test_a_login_after_a_firewall_forgot_the_connection_succeeds(
    api: Api, account: Account, proxy: SilentProxy
) -> None:
    assert await log_in(api, account) == 200
    proxy.fall_silent()

    assert await log_in(api, account) == 200


async def test_a_login_after_a_failover_reaches_the_new_primary(
    api: Api, account: Account, redis: Redis, proxy: SilentProxy, tmp_path: object
) -> None:
    """LG4: the old primary becomes a replica and keeps its connections open."""
    assert await log_in(api, account) == 200
    with ValkeyServer() as new:
        await redis.replicaof("127.0.0.1", "1")
        proxy.target = new.scratch.path / "valkey.sock"

        assert await log_in(api, account) == 200


async def test_connections_to_the_store_are_kept_alive(app: FastAPI) -> None:
    collaborators: Collaborators = app.state.collaborators
    await collaborators.attempts.count("ada@example.com", "127.0.0.1")
    storage = open_counter_store("redis://127.0.0.1:1/0", keepalive=timedelta(seconds=7))
    client = storage.bridge.get_connection()  # type: ignore[attr-defined]  # as in rate_limit

    assert client.connection_pool.connection_kwargs["socket_keepalive"]
