"""Clients that disconnect before their request was begun: no work is done for them."""

import asyncio
import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from fastapi import FastAPI
from sqlalchemy import event, select
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from examples.catalogue.core.config import Settings
from examples.catalogue.db.session import Database
from examples.catalogue.project import project
from examples.catalogue.tests.api import Api
from mscr.db import caller
from mscr.http.middleware import RequestMiddleware
from mscr.testing.api import Account
from mscr.testing.databases import checked_out, on_postgresql
from mscr.testing.processes import app_processes
from mscr.testing.waiting import connection_to, is_waiting, until

RequestMaker = Callable[[ASGIApp, Account], "Request"]

ITEMS = "/api/v1/items"
POOL_SIZE = 2
small_pool = pytest.mark.settings(DATABASE_POOL_SIZE=POOL_SIZE, DATABASE_POOL_TIMEOUT_SECONDS=10)


@pytest.fixture
def no_youth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check the client of each request, without waiting until it is old."""
    monkeypatch.setattr(caller, "YOUTH", timedelta(0))


class Request:
    """A request sent without a server, so that the test decides when its client disconnects."""

    def __init__(self, app: ASGIApp, account: Account, method: str, path: str, body: bytes) -> None:
        self._app = app
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        self._messages.put_nowait({"type": "http.request", "body": body, "more_body": False})
        headers = {"host": "testserver", "content-type": "application/json", **account.headers}
        if body:
            headers["content-length"] = str(len(body))
        self._scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(n.lower().encode(), v.encode()) for n, v in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("testserver", 80),
        }
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async def send(_: Message) -> None:
            """Discard the response."""

        await self._app(self._scope, self._messages.get, send)

    def hang_up(self) -> None:
        self._messages.put_nowait({"type": "http.disconnect"})

    async def waits(self) -> None:
        """Run until the request can do nothing more without a connection."""
        for _ in range(100):
            await asyncio.sleep(0)
        assert not self.task.done()


async def take_all(engine: AsyncEngine, stack: AsyncExitStack) -> None:
    for _ in range(POOL_SIZE):
        _ = await stack.enter_async_context(engine.connect())


def checkouts(engine: AsyncEngine) -> list[object]:
    """Record each connection that is checked out from now on."""
    seen: list[object] = []
    event.listen(engine.sync_engine, "checkout", lambda connection, *_: seen.append(connection))
    return seen


def read_request(app: ASGIApp, account: Account) -> Request:
    return Request(app, account, "GET", f"{ITEMS}/my", b"")


def write_request(app: ASGIApp, account: Account) -> Request:
    body = json.dumps({"title": "A thing", "tags": ["home"]}).encode()
    return Request(app, account, "POST", ITEMS, body)


async def count_items(api: Api, account: Account) -> int:
    page = await api.client.get(f"{ITEMS}/my", headers=account.headers)
    return int(page.json()["meta"]["total"])


@small_pool
@pytest.mark.usefixtures("no_youth")
@pytest.mark.parametrize("request_of", [read_request, write_request])
async def test_a_client_gone_before_a_connection_is_free_costs_no_query(
    api: Api, app: FastAPI, database: Database, request_of: RequestMaker
) -> None:
    """RL5."""
    account = await api.register()
    async with AsyncExitStack() as stack:
        await take_all(database.read_engine, stack)
        gone = request_of(app, account)
        await gone.waits()
        gone.hang_up()
        handed_out = checkouts(database.read_engine)
    await gone.task

    assert handed_out == []
    assert checked_out(database) == 0
    assert await count_items(api, account) == 0


@small_pool
@pytest.mark.usefixtures("no_youth")
async def test_a_write_that_has_begun_is_completed_after_its_client_is_gone(
    api: Api, app: FastAPI, database: Database
) -> None:
    """RL5: a half-finished write would be worse than a response that nobody reads."""
    account = await api.register()
    looked_up = asyncio.Event()
    pool = database.read_engine.sync_engine
    event.listen(pool, "checkin", lambda *_: looked_up.set())  # codespell:ignore checkin
    async with AsyncExitStack() as stack:
        await take_all(database.engine, stack)
        gone = write_request(app, account)
        # Authentication has ended, and the request waits for a connection to write with.
        await looked_up.wait()
        await gone.waits()
        gone.hang_up()
    await gone.task

    assert await count_items(api, account) == 1


@pytest.mark.usefixtures("no_youth")
async def test_work_that_continues_after_the_response_may_read(
    settings: Settings, api: Api, database: Database
) -> None:
    """A client that has its response does not count as gone, although servers report it so."""
    read: list[int] = []

    async def answer_and_go_on(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("done")(scope, receive, send)
        request.hang_up()
        async with database.read_sessions() as session:
            read.append(await session.scalar(select(1)) or 0)

    request = read_request(RequestMiddleware(answer_and_go_on, settings), await api.register())
    await request.task

    assert read == [1]


def raw_request(account: Account) -> bytes:
    head = f"GET {ITEMS}/my HTTP/1.1\r\nHost: testserver\r\n"
    return f"{head}Authorization: Bearer {account.access_token}\r\n\r\n".encode()


@on_postgresql
async def test_a_served_process_does_nothing_for_clients_that_hung_up_in_its_queue(
    api: Api, database_url: str
) -> None:
    """RL5: the first request has begun and is completed. The others' clients are gone."""
    account, other = await api.register(), await api.register()
    with app_processes(
        project,
        1,
        database_url,
        ACCESS_LOG="true",
        DATABASE_POOL_SIZE=str(POOL_SIZE),
        DATABASE_POOL_TIMEOUT_SECONDS="30",
    ) as [process]:
        async with connection_to(database_url) as connection, process.client() as client:
            await connection.exec_driver_sql("BEGIN")
            await connection.exec_driver_sql("LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
            waiting = [await asyncio.open_unix_connection(process.socket) for _ in range(20)]
            for _, writer in waiting:
                writer.write(raw_request(account))
            await until(lambda: is_waiting(connection))
            # Sent after all of them and served at once: one caller never takes every connection.
            me = await client.get("/api/v1/users/me", headers=other.headers)
            for _, writer in waiting:
                writer.transport.abort()
            await asyncio.sleep(caller.YOUTH.total_seconds())
            await connection.exec_driver_sql("ROLLBACK")

            async def all_are_logged() -> bool:
                return process.log.count(f"path={ITEMS}/my") == len(waiting)

            await until(all_are_logged)
        output = process.log

    assert me.status_code == 200
    assert output.count("status=400") == len(waiting) - 1
    assert "Traceback" not in output
