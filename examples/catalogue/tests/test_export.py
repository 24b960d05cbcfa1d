"""Exports of whole lists: contents, memory, connections, failures and disconnected clients."""

import asyncio
import csv
import gc
import io
import json
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from httpx2 import RemoteProtocolError, Response
from sqlalchemy import insert, select, text
from starlette.background import BackgroundTask
from starlette.requests import Request

from examples.catalogue.db.session import Database
from examples.catalogue.models import Item, ItemStatus, User
from examples.catalogue.project import project
from examples.catalogue.schemas.item_schemas import ItemExported
from examples.catalogue.tests.api import Api
from mscr.endpoints.export_rows import BATCH_SIZE, ExportQuery
from mscr.endpoints.exports import ExportResponse, preferred_format
from mscr.endpoints.row_format import RowFormat
from mscr.models.base import new_public_id
from mscr.testing.api import Account
from mscr.testing.databases import checked_out, on_postgresql, on_sqlite
from mscr.testing.problems import faulty_fields, problem
from mscr.testing.processes import app_processes
from mscr.testing.waiting import connection_to, is_waiting, until

EXPORT = "/api/v1/items/export"
small_pool = pytest.mark.settings(DATABASE_POOL_SIZE=1, DATABASE_POOL_TIMEOUT_SECONDS=0.4)

Send = Callable[[dict[str, Any]], Awaitable[None]]


async def export(api: Api, viewer: Account, accept: str = "*/*", **query: Any) -> Response:
    headers = viewer.headers | {"Accept": accept}
    response = await api.client.get(EXPORT, params=query, headers=headers)
    assert response.status_code == 200, response.text
    return response


def from_ndjson(response: Response) -> list[dict[str, Any]]:
    assert response.headers["content-type"] == "application/x-ndjson"
    assert response.text.endswith("\n") or response.text == ""
    return [json.loads(line) for line in response.text.split("\n")[:-1]]


def from_csv(response: Response) -> list[dict[str, str]]:
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(response.text, newline="")))


async def add_items(database: Database, owner: Account, count: int, **values: Any) -> None:
    """Insert items directly: creating them by the API would take minutes."""
    async with database.sessions.begin() as session:
        found = select(User.id).where(User.public_id == owner.public_id)
        row = {"owner_id": await session.scalar(found), "status": ItemStatus.DRAFT, **values}
        rows = [
            {"public_id": new_public_id(), "title": f"item {number}", **row}
            for number in range(count)
        ]
        await session.execute(insert(Item), rows)


async def test_the_export_has_the_rows_of_the_list_in_both_formats(api: Api) -> None:
    """AZ2, AZ5."""
    viewer, other = await api.register(), await api.register()
    mine = await api.create_item(viewer, title='a "b", c;\r\nü', description="")
    seen = await api.create_item(other, title="=1+1", status="active")
    await api.create_item(other, title="a draft of another")
    gone = await api.create_item(viewer)
    await api.client.delete(f"/api/v1/items/{gone['public_id']}", headers=viewer.headers)

    # Exported files have no tags.
    for item in (mine, seen):
        del item["tags"]
    lines = await export(api, viewer)
    assert from_ndjson(lines) == [seen, mine]
    assert lines.headers["content-disposition"] == 'attachment; filename="items.ndjson"'
    assert from_ndjson(await export(api, viewer, sort="created_at")) == [mine, seen]

    cells = await export(api, viewer, format="csv")
    assert cells.headers["content-disposition"] == 'attachment; filename="items.csv"'
    assert cells.headers["cache-control"] == "no-store"
    assert from_csv(cells) == [
        {**seen, "title": "'=1+1", "description": ""},
        {**mine, "description": "'"},
    ]
    assert from_csv(await export(api, viewer, accept="text/csv")) == from_csv(cells)


async def test_the_filters_of_the_list_are_those_of_the_export(api: Api) -> None:
    viewer = await api.register()
    tags: dict[str, str] = {}
    for title, status, names in (
        ("milk", "draft", ["dairy", "food"]),
        ("milk", "active", ["dairy"]),
        ("bread", "active", ["food"]),
    ):
        item = await api.create_item(viewer, title=title, status=status, tags=names)
        tags |= {tag["name"]: tag["public_id"] for tag in item["tags"]}
    queries: list[dict[str, Any]] = [
        {"status": "active"},
        {"q": "mil", "status": "active"},
        {"title_prefix": "mi"},
        {"description_null": "false"},
        {"tag": tags["dairy"]},
        {"tag_all": [tags["dairy"], tags["food"]]},
        {"created_at_gte": "2999-01-01T00:00:00Z"},
    ]
    for query in queries:
        listed = await api.client.get("/api/v1/items", params=query, headers=viewer.headers)
        rows = [
            {name: row[name] for name in row.keys() - {"tags"}} for row in listed.json()["data"]
        ]
        assert from_ndjson(await export(api, viewer, **query)) == rows
    nothing = await export(api, viewer, q="nothing", format="csv")
    assert nothing.text.count("\r\n") == 1
    for junk in ("format=xml", "sort=title", "page=1", "cursor=", "status=none", "x=1"):
        refused = await api.client.get(f"{EXPORT}?{junk}", headers=viewer.headers)
        assert faulty_fields(refused)[0][1] == junk.partition("=")[0]


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", RowFormat.NDJSON),
        ("*/*", RowFormat.NDJSON),
        ("application/json", RowFormat.NDJSON),
        ("text/csv", RowFormat.CSV),
        ("text/*", RowFormat.CSV),
        ("text/csv, */*;q=0.1", RowFormat.CSV),
        ("text/csv;q=0.5, application/x-ndjson", RowFormat.NDJSON),
        ("TEXT/CSV; q=0.5, application/x-ndjson;q=0.4", RowFormat.CSV),
        ("text/csv;q=0", RowFormat.NDJSON),
        ("text/csv;q=x", RowFormat.NDJSON),
    ],
)
def test_the_accept_header_chooses_the_format(accept: str, expected: RowFormat) -> None:
    assert preferred_format(accept) is expected


async def test_no_row_is_missing_or_duplicated_between_batches(
    api: Api, database: Database
) -> None:
    viewer, other = await api.register(), await api.register()
    await add_items(database, viewer, BATCH_SIZE)
    await add_items(database, other, BATCH_SIZE, status=ItemStatus.ACTIVE)
    await add_items(database, viewer, 2, status=ItemStatus.ACTIVE)
    for query in ({}, {"sort": "created_at"}, {"q": "item"}):
        rows = from_ndjson(await export(api, viewer, **query))
        assert len({UUID(row["public_id"]) for row in rows}) == len(rows) == 2 * BATCH_SIZE + 2


async def receive_export(
    app: FastAPI, viewer: Account, send: Send, gone: asyncio.Event | None = None
) -> None:
    """Call the application as a server does: the test client would buffer the whole response."""
    left = gone or asyncio.Event()

    async def receive() -> dict[str, Any]:
        await left.wait()
        return {"type": "http.disconnect"}

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": EXPORT,
        "raw_path": EXPORT.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.lower().encode(), v.encode()) for name, v in viewer.headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("testserver", 80),
    }
    await app(scope, receive, send)  # type: ignore[arg-type]  # the framework's own message type


@on_postgresql
async def test_an_export_is_never_in_memory_as_a_whole(
    app: FastAPI, api: Api, database: Database
) -> None:
    """RL18."""
    viewer = await api.register()
    sent = 0

    async def send(message: dict[str, Any]) -> None:
        nonlocal sent
        sent += len(message.get("body", b""))

    async def peak_of_export() -> int:
        # Garbage of earlier tests and the measurement of coverage count too, in both exports.
        gc.collect()
        tracemalloc.start()
        try:
            await receive_export(app, viewer, send)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    await add_items(database, viewer, 2 * BATCH_SIZE, description="long " * 60)
    await receive_export(app, viewer, send)  # builds what is built only once, unmeasured
    peak_of_two_batches = await peak_of_export()
    for _ in range(4):
        await add_items(database, viewer, 10 * BATCH_SIZE, description="long " * 60)
    sent = 0
    peak = await peak_of_export()

    assert sent > 10_000_000
    # 21 times as many rows; what is more is garbage that is not collected yet.
    assert peak < 3 * peak_of_two_batches


@small_pool
async def test_a_client_that_does_not_read_holds_no_connection(
    app: FastAPI, api: Api, database: Database
) -> None:
    """RL5, RL18: and leaks none when it disconnects."""
    viewer = await api.register()
    await add_items(database, viewer, 2 * BATCH_SIZE)
    stalled = asyncio.Event()

    async def send(message: dict[str, Any]) -> None:
        if message.get("body"):
            stalled.set()
            await asyncio.Event().wait()

    exporting = asyncio.create_task(receive_export(app, viewer, send))
    await stalled.wait()
    assert (await api.me(viewer.access_token)).status_code == 200
    assert checked_out(database) == 0

    exporting.cancel()
    await asyncio.gather(exporting, return_exceptions=True)
    assert checked_out(database) == 0
    assert len(from_ndjson(await export(api, viewer))) == 2 * BATCH_SIZE


@on_postgresql
async def test_a_client_that_disconnects_during_a_query_leaks_no_connection(
    app: FastAPI, api: Api, database: Database, database_url: str
) -> None:
    """RL5."""
    viewer = await api.register()
    await add_items(database, viewer, 2 * BATCH_SIZE)
    sent, locked = asyncio.Event(), asyncio.Event()

    async def send(message: dict[str, Any]) -> None:
        if message.get("body"):
            sent.set()
            await locked.wait()

    exporting = asyncio.create_task(receive_export(app, viewer, send))
    await sent.wait()
    async with connection_to(database_url) as others, connection_to(database_url) as watching:
        await others.exec_driver_sql("BEGIN")
        await others.exec_driver_sql("LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
        locked.set()
        await until(partial(is_waiting, watching))
        exporting.cancel()
        kept = await asyncio.gather(exporting, return_exceptions=True)
        assert checked_out(database) == 0
        await others.exec_driver_sql("ROLLBACK")
    assert isinstance(kept[0], asyncio.CancelledError)


async def test_the_export_stops_reading_rows_when_the_client_disconnects(
    app: FastAPI, api: Api, database: Database
) -> None:
    """RL5."""
    viewer = await api.register()
    await add_items(database, viewer, 3 * BATCH_SIZE)
    lines, ends, gone = 0, 0, asyncio.Event()

    async def send(message: dict[str, Any]) -> None:
        nonlocal lines, ends
        if message["type"] == "http.response.body":
            lines += message["body"].count(b"\n")
            ends += not message["more_body"]
        if lines:
            gone.set()

    await receive_export(app, viewer, send, gone)
    assert (lines, ends) == (BATCH_SIZE, 0)


@on_sqlite
async def test_clients_that_disconnect_during_an_export_log_no_error(
    api: Api, database: Database, database_url: str
) -> None:
    """RL5: a query that is cancelled repeatedly while it cleans up cannot close its connection."""
    viewer = await api.register()
    await add_items(database, viewer, 20 * BATCH_SIZE)
    head = f"GET {EXPORT} HTTP/1.1\r\nHost: testserver\r\n"
    request = f"{head}Authorization: Bearer {viewer.access_token}\r\n\r\n".encode()

    async def hang_up(socket: str, received: int) -> None:
        reader, writer = await asyncio.open_unix_connection(socket)
        writer.write(request)
        await reader.readexactly(received)
        writer.transport.abort()

    with app_processes(project, 1, database_url) as [process]:
        await asyncio.gather(*(hang_up(process.socket, 1000 * n) for n in range(24)))
        process.stop()
        assert process.log == ""


async def test_background_tasks_run_after_an_export() -> None:
    done: list[str] = []

    async def no_batches() -> AsyncIterator[list[Any]]:
        nothing: list[list[Any]] = []
        for batch in nothing:
            yield batch

    async def send(message: Any) -> None:
        done.append(message["type"])

    request = Request({"type": "http", "headers": []})
    response = ExportResponse(request).send(no_batches(), ItemExported, ExportQuery(), name="items")
    response.background = BackgroundTask(done.append, "background")
    await response(request.scope, request.receive, send)
    assert done[-2:] == ["http.response.body", "background"]


async def test_a_failure_before_the_first_row_is_an_error_response(
    api: Api, database: Database
) -> None:
    viewer = await api.register()
    async with database.sessions.begin() as session:
        await session.execute(text("ALTER TABLE items RENAME TO things"))
    response = await api.client.get(EXPORT, headers=viewer.headers)
    problem(response, 500, "internal_error")


async def test_a_failure_in_the_middle_cuts_the_connection(
    api: Api, database: Database, database_url: str
) -> None:
    """RL18: so that a client can recognise a truncated file."""
    viewer = await api.register()
    await add_items(database, viewer, 3000, description="long " * 300)
    with app_processes(project, 1, database_url) as [process]:
        async with process.client() as client:
            received, cut = 0, False
            async with client.stream("GET", EXPORT, headers=viewer.headers) as response:
                assert response.status_code == 200
                try:
                    async for part in response.aiter_bytes():
                        if received == 0:
                            async with database.sessions.begin() as session:
                                await session.execute(text("ALTER TABLE items RENAME TO things"))
                        received += len(part)
                except RemoteProtocolError:
                    cut = True
            assert cut
            assert 0 < received < 4_500_000
            assert (await client.get("/health/live")).status_code == 200
