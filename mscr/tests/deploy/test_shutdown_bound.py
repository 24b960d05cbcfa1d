"""`serve` stops in bounded time, whatever its connections do."""

import asyncio
import secrets
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

import pytest
from httpx2 import AsyncClient, HTTPError

from mscr.testing.commands import start
from mscr.testing.postgres import PORT, PostgresServer
from mscr.testing.processes import free_port
from mscr.testing.silent_proxy import SilentProxy, silent_proxy
from mscr.testing.valkey import ValkeyServer
from mscr.testing.waiting import until
from mscr.tests.data.faults import TEMPLATE, private_server
from mscr.tests.support.paths import CLI

SHUTDOWN_SECONDS = 4
# On top of the application's bound: the interpreter's exit, on a busy machine.
SLACK_SECONDS = 2


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with private_server() as server:
        yield server


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv(ValkeyServer.variable, raising=False)
        with ValkeyServer() as server:
            yield server


@dataclass
class Served:
    process: subprocess.Popen[str]
    client: AsyncClient
    proxies: list[SilentProxy]


@asynccontextmanager
async def served(database: SilentProxy, store: SilentProxy) -> AsyncIterator[Served]:
    port = free_port()
    environment = {
        "ENVIRONMENT": "test",
        "PORT": str(port),
        "SECRET_KEY": secrets.token_urlsafe(48),
        "JWT_SECRET_KEY": secrets.token_urlsafe(48),
        "DATABASE_URL": f"postgresql+asyncpg://postgres@127.0.0.1:{database.port}/{TEMPLATE}",
        "REDIS_URL": f"redis://127.0.0.1:{store.port}/0",
        "SHUTDOWN_TIMEOUT_SECONDS": str(SHUTDOWN_SECONDS),
    }
    process = start([*CLI, "serve"], environment)
    try:
        async with AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:

            async def is_ready() -> bool:
                with suppress(HTTPError):
                    return (await client.get("/health/ready")).status_code == 200
                return False

            await until(is_ready)
            yield Served(process, client, [database, store])
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
async def server(postgres: PostgresServer, valkey: ValkeyServer) -> AsyncIterator[Served]:
    async with AsyncExitStack() as stack:
        path = postgres.scratch.path / f".s.PGSQL.{PORT}"
        database = await stack.enter_async_context(silent_proxy(path))
        store = await stack.enter_async_context(silent_proxy(valkey.scratch.path / "valkey.sock"))
        yield await stack.enter_async_context(served(database, store))


async def register(client: AsyncClient, number: int) -> int:
    body = {"email": f"{secrets.token_hex(4)}{number}@example.com", "password": "correct horse b"}
    return (await client.post("/api/v1/auth/register", json=body)).status_code


async def seconds_to_end(process: subprocess.Popen[str]) -> float:
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(process.wait, 90)
    return time.monotonic() - started


async def test_it_stops_in_time_with_dead_idle_connections(server: Served) -> None:
    statuses = await asyncio.gather(*(register(server.client, n) for n in range(8)))
    assert set(statuses) == {201}
    for proxy in server.proxies:
        proxy.swallow_all()

    assert await seconds_to_end(server.process) < SHUTDOWN_SECONDS + SLACK_SECONDS


async def test_it_stops_in_time_with_requests_that_wait_for_dead_connections(
    server: Served,
) -> None:
    await asyncio.gather(*(register(server.client, n) for n in range(8)))
    for proxy in server.proxies:
        proxy.swallow_all()
    requests = [asyncio.create_task(register(server.client, n)) for n in range(20)]
    await asyncio.wait(requests, timeout=0.3)

    assert await seconds_to_end(server.process) < SHUTDOWN_SECONDS + SLACK_SECONDS
    await asyncio.gather(*requests, return_exceptions=True)
