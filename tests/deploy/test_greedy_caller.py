"""One caller who asks for much, and others beside: over real connections, with many rows."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from httpx2 import AsyncClient

from app.db.many_items import seed_many_items
from app.db.session import Database
from tests.support.api import Account, Api
from tests.support.databases import on_postgresql
from tests.support.processes import AppProcess, app_processes

ITEMS = "/api/v1/items"
ROWS = 20_000
AT_ONCE = 30
SECONDS = 3
ABORTED = 300
# A third of the patience of the pool. Before, others waited for longer, or were shed.
MOST_SECONDS = 1.0

pytestmark = [pytest.mark.long, on_postgresql]


@pytest.fixture
async def process(api: Api, database: Database, database_url: str) -> AsyncIterator[AppProcess]:
    """The application as it is served, on a database with many published items."""
    async with database.sessions() as session:
        await seed_many_items(session, ROWS, on_items=lambda _: None)
    with app_processes(1, database_url) as [process]:
        yield process


async def ask_in_passing(client: AsyncClient, account: Account) -> None:
    """What anybody asks for, and gets."""
    for path in ("/api/v1/users/me", f"{ITEMS}?limit=20"):
        response = await client.get(path, headers=account.headers)
        assert response.status_code == 200, response.text


async def times_of(client: AsyncClient, account: Account, *, until: float) -> list[float]:
    """How long they took each time."""
    times: list[float] = []
    while (started := time.monotonic()) < until:
        await ask_in_passing(client, account)
        times.append(time.monotonic() - started)
    return times


async def test_others_are_served_while_one_keeps_30_deep_pages_going(
    api: Api, process: AppProcess
) -> None:
    greedy, other = await api.register(), await api.register()
    until = time.monotonic() + SECONDS
    async with process.client() as client, process.client() as beside:

        async def ask_on() -> None:
            while time.monotonic() < until:
                await client.get(f"{ITEMS}?page=100&per_page=100", headers=greedy.headers)

        asking = [asyncio.create_task(ask_on()) for _ in range(AT_ONCE)]
        times = await times_of(beside, other, until=until)
        await asyncio.gather(*asking)

    assert max(times) < MOST_SECONDS, sorted(times)[-5:]


async def begin_an_export(process: AppProcess, account: Account) -> None:
    """And hang up."""
    _, writer = await asyncio.open_unix_connection(process.socket)
    head = f"GET {ITEMS}/export HTTP/1.1\r\nHost: testserver\r\n"
    writer.write(f"{head}Authorization: Bearer {account.access_token}\r\n\r\n".encode())
    await writer.drain()
    writer.transport.abort()


async def test_exports_that_nobody_waits_for_keep_nobody_waiting(
    api: Api, process: AppProcess
) -> None:
    greedy, other = await api.register(), await api.register()
    async with process.client() as client:
        # It has its connections, and the other one's session was looked up once.
        await ask_in_passing(client, other)
        await asyncio.gather(*(begin_an_export(process, greedy) for _ in range(ABORTED)))
        started = time.monotonic()
        await ask_in_passing(client, other)
        elapsed = time.monotonic() - started

    assert elapsed < MOST_SECONDS
