"""Fairness: one greedy caller does not slow down others, over real connections and many rows."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from httpx2 import AsyncClient

from examples.catalogue.db.many_items import seed_many_items
from examples.catalogue.db.session import Database
from examples.catalogue.project import project
from examples.catalogue.tests.api import Api
from mscr.testing.api import Account
from mscr.testing.databases import on_postgresql
from mscr.testing.processes import AppProcess, app_processes

ITEMS = "/api/v1/items"
ROWS = 20_000
AT_ONCE = 30
SECONDS = 3
ABORTED = 300
# A third of the pool timeout. Without the fair pool, others waited longer or got 503.
MOST_SECONDS = 1.0

pytestmark = [
    pytest.mark.long,
    on_postgresql,
    # The connections of the test, which inserts the rows: another process serves them.
    pytest.mark.settings(DATABASE_STATEMENT_TIMEOUT_SECONDS=60),
]


@pytest.fixture
async def process(api: Api, database: Database, database_url: str) -> AsyncIterator[AppProcess]:
    """Serve the application from a database with many published items."""
    async with database.sessions() as session:
        await seed_many_items(session, ROWS, on_items=lambda _: None)
    with app_processes(project, 1, database_url) as [process]:
        yield process


async def ask_in_passing(client: AsyncClient, account: Account) -> None:
    """Send the requests of an ordinary caller, which must succeed."""
    for path in ("/api/v1/users/me", f"{ITEMS}?limit=20"):
        response = await client.get(path, headers=account.headers)
        assert response.status_code == 200, response.text


async def times_of(client: AsyncClient, account: Account, *, until: float) -> list[float]:
    """Return the duration of each round of ordinary requests."""
    times: list[float] = []
    while (started := time.monotonic()) < until:
        await ask_in_passing(client, account)
        times.append(time.monotonic() - started)
    return times


async def test_other_callers_are_served_while_one_requests_30_deep_pages_at_once(
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
    """Request an export and disconnect."""
    _, writer = await asyncio.open_unix_connection(process.socket)
    head = f"GET {ITEMS}/export HTTP/1.1\r\nHost: testserver\r\n"
    writer.write(f"{head}Authorization: Bearer {account.access_token}\r\n\r\n".encode())
    await writer.drain()
    writer.transport.abort()


async def test_aborted_exports_delay_no_other_caller(api: Api, process: AppProcess) -> None:
    greedy, other = await api.register(), await api.register()
    async with process.client() as client:
        # Establish the process's connections, and look up the other caller's session once.
        await ask_in_passing(client, other)
        await asyncio.gather(*(begin_an_export(process, greedy) for _ in range(ABORTED)))
        started = time.monotonic()
        await ask_in_passing(client, other)
        elapsed = time.monotonic() - started

    assert elapsed < MOST_SECONDS
