"""Clients that disconnect leave nothing behind: no connection, no lock, no transaction."""

import asyncio
import time
from typing import Final

import pytest
from sqlalchemy import text

from examples.catalogue.db.session import Database
from examples.catalogue.project import project
from examples.catalogue.tests.api import Api
from mscr.http.media_types import FORM_TYPE, JSON_TYPE
from mscr.testing.api import Account
from mscr.testing.databases import checked_out, on_sqlite
from mscr.testing.processes import app_processes
from mscr.tests.data.faults import read, write

ABORTS: Final = 90
AT_ONCE: Final = 6

MANY_ROWS: Final = text(
    "WITH RECURSIVE n(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM n LIMIT 1000) SELECT x FROM n"
)
# A leak shows soon, because the pool is small.
small_pool = pytest.mark.settings(DATABASE_POOL_SIZE=3)


async def cancel_requests(api: Api, account: Account) -> None:
    """Cancel each request at a different moment, from its first step until after its last."""
    started = time.perf_counter()
    await write(api, account)
    duration = time.perf_counter() - started
    for first in range(0, ABORTS, AT_ONCE):
        requests = [
            asyncio.wait_for(
                write(api, account) if number % 2 else read(api, account),
                timeout=AT_ONCE * duration * number / ABORTS,
            )
            for number in range(first, first + AT_ONCE)
        ]
        await asyncio.gather(*requests, return_exceptions=True)


@small_pool
async def test_cancelled_requests_return_their_connections_to_the_pool(
    api: Api, database: Database
) -> None:
    """RL5."""
    account = await api.register()

    await cancel_requests(api, account)

    assert checked_out(database) == 0


@small_pool
async def test_requests_are_served_after_many_were_cancelled(api: Api) -> None:
    """RL5: more requests at once than the pool has connections."""
    account = await api.register()
    await cancel_requests(api, account)

    answers = await asyncio.gather(*(write(api, account) for _ in range(10)))

    assert {answer.status_code for answer in answers} == {201}


@on_sqlite
async def test_a_cancelled_statement_holds_no_lock_while_its_error_is_kept(
    database: Database,
) -> None:
    """RL5: an error's traceback refers to a cursor, and the cursor to the transaction."""

    async def work() -> None:
        async with database.sessions.begin() as session:
            await session.execute(MANY_ROWS)

    kept: list[BaseException | None] = []
    for turns_of_the_loop in range(100):
        cancelled = asyncio.create_task(work())
        for _ in range(turns_of_the_loop):
            await asyncio.sleep(0)
        cancelled.cancel()
        kept += await asyncio.gather(cancelled, return_exceptions=True)
        await work()

    assert any(isinstance(error, asyncio.CancelledError) for error in kept)


async def hang_up(socket: str, request: bytes) -> None:
    """Send a request, which may be incomplete, and abort the connection."""
    _, writer = await asyncio.open_unix_connection(socket)
    writer.write(request)
    await writer.drain()
    writer.transport.abort()


def half_a_login(route: str, media_type: str) -> bytes:
    head = (
        f"POST /api/v1/auth/{route} HTTP/1.1\r\nHost: testserver\r\nContent-Type: {media_type}\r\n"
    )
    return f"{head}Content-Length: 100\r\n\r\nusername=".encode()


def write_request(account: Account) -> bytes:
    body = b'{"title": "A thing"}'
    head = (
        "POST /api/v1/items HTTP/1.1\r\nHost: testserver\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {account.access_token}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def test_a_served_process_is_unharmed_by_300_clients_that_hang_up(
    api: Api, database_url: str
) -> None:
    """RL5: complete requests, and requests that break off in their head or body."""
    account = await api.register()
    # The pool first works off hundreds of writes whose clients are gone. On a slow disk that takes
    # a while, and it is not under test, so the timeouts are long.
    with app_processes(
        project,
        1,
        database_url,
        DATABASE_POOL_SIZE="3",
        DATABASE_POOL_TIMEOUT_SECONDS="30",
        DATABASE_LOCK_TIMEOUT_SECONDS="30",
    ) as [process]:
        whole = write_request(account)
        requests = [whole[:100], whole, whole] * 96
        requests += [half_a_login("login", JSON_TYPE), half_a_login("token", FORM_TYPE)] * 6
        await asyncio.gather(*(hang_up(process.socket, request) for request in requests))
        async with process.client() as client:
            served = Api(client, api._database)
            answers = await asyncio.gather(*(write(served, account) for _ in range(20)))
        output = process.log

    assert {answer.status_code for answer in answers} == {201}
    assert "Traceback" not in output
    assert "status=500" not in output
