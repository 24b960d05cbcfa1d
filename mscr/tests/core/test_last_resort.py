"""The outermost middleware: the response when everything inside it has failed."""

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from httpx2 import ASGITransport, AsyncClient
from starlette.requests import ClientDisconnect

from mscr.testing.databases import on_sqlite


async def test_a_response_that_has_begun_is_cut_off_and_not_followed_by_another(
    app: FastAPI,
) -> None:
    async def half() -> AsyncIterator[bytes]:
        yield b"half"
        raise ValueError("the rest is lost")

    @app.get("/half")
    async def stream() -> StreamingResponse:
        return StreamingResponse(half())

    # On the error, a server closes the connection, so that no client takes the half for the whole.
    transport = ASGITransport(app=app)
    async with AsyncClient(transport=transport, base_url="http://testserver") as client:
        with pytest.raises(ValueError, match="the rest is lost"):
            await client.get("/half")


class Exchange:
    """One request to the application, as a server makes it."""

    def __init__(self, app: FastAPI, path: str, method: str = "GET", body: bytes = b"") -> None:
        self.sent: list[dict[str, Any]] = []
        self._body = body
        scope: dict[str, Any] = {"type": "http", "method": method, "path": path, "scheme": "http"}
        scope |= {"query_string": b"", "http_version": "1.1", "server": ("a", 80), "headers": []}
        self.scope = {**scope, "asgi": {"version": "3.0", "spec_version": "2.4"}}
        self.task = asyncio.ensure_future(app(self.scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        return {"type": "http.request", "body": self._body, "more_body": False}

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        self.sent.append(dict(message))


@on_sqlite
@pytest.mark.parametrize("begun", [False, True])
async def test_a_request_cancelled_at_shutdown_gets_503_unless_its_response_has_begun(
    app: FastAPI, begun: bool
) -> None:
    """A stopping server waits for a while and then cancels the requests that still run."""
    at_work = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        if begun:
            yield b"half"
        at_work.set()
        await asyncio.Event().wait()

    @app.get("/slow")
    async def stream() -> StreamingResponse:
        if not begun:
            await anext(slow())
        return StreamingResponse(slow())

    exchange = Exchange(app, "/slow")
    await at_work.wait()
    exchange.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await exchange.task

    starts = [m["status"] for m in exchange.sent if m["type"] == "http.response.start"]
    assert starts == ([200] if begun else [503])


@on_sqlite
@pytest.mark.parametrize("path", ["/health", "/docs", "/api/v1/users/me", "/nothing"])
async def test_head_is_get_without_the_content(app: FastAPI, path: str) -> None:
    """RFC 9110 §9.3.2."""
    head, get = Exchange(app, path, "HEAD"), Exchange(app, path, "GET")
    await asyncio.gather(head.task, get.task)

    assert b"".join(m.get("body", b"") for m in head.sent) == b""
    assert b"".join(m.get("body", b"") for m in get.sent) != b""
    shown = [
        (m["status"], {name: value for name, value in m["headers"] if name != b"x-request-id"})
        for m in (head.sent[0], get.sent[0])
    ]
    assert shown[0] == shown[1]
    assert head.scope["method"] == "HEAD"


@on_sqlite
async def test_a_head_request_does_not_read_the_stream(app: FastAPI) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"more"

    @app.get("/endless")
    async def stream() -> StreamingResponse:
        return StreamingResponse(endless())

    head = Exchange(app, "/endless", "HEAD")
    await head.task

    assert [m.get("body") for m in head.sent] == [None, b""]


@on_sqlite
async def test_a_client_that_disconnects_during_its_request_is_no_error(app: FastAPI) -> None:
    """Before the response has begun and after."""

    @app.get("/gone")
    async def gone() -> None:
        raise ClientDisconnect

    @app.get("/going")
    async def going() -> StreamingResponse:
        async def half() -> AsyncIterator[bytes]:
            yield b"half"
            raise ClientDisconnect

        return StreamingResponse(half())

    early, late = Exchange(app, "/gone"), Exchange(app, "/going")
    await asyncio.gather(early.task, late.task)

    assert [early.sent[0]["status"], late.sent[0]["status"]] == [400, 200]
