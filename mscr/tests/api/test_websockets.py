"""WebSocket handshakes are refused, under the same rules as requests: there are no WebSockets."""

import logging
from typing import Any

import pytest
from fastapi import FastAPI

from examples.catalogue.core.config import Settings
from mscr.http.middleware import MAX_HEADER_BYTES, RequestMiddleware

HOST = (b"host", b"api.example.com")


async def shake_hands(
    app: Any,
    *headers: tuple[bytes, bytes],
    path: str = "/ws",
    extensions: dict[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Return the messages that the application sends in response to a handshake."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "websocket",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"token=canary",
        "headers": list(headers),
        "client": ("203.0.113.9", 1),
        "extensions": extensions or {},
        "state": {},
        "scheme": "ws",
        "subprotocols": [],
    }
    await app(scope, receive, send)
    return sent


async def test_a_handshake_is_refused_and_logged_without_its_query(
    app: FastAPI, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        sent = await shake_hands(app, HOST)

    assert [message["type"] for message in sent] == ["websocket.close"]
    assert "websocket" in caplog.text
    assert "403" in caplog.text
    assert "canary" not in caplog.text


@pytest.mark.settings(ALLOWED_HOSTS="api.example.com", ACCESS_LOG=False)
@pytest.mark.parametrize("extensions", [{}, {"websocket.http.response": {}}])
async def test_a_handshake_for_another_host_or_with_large_headers_is_refused(
    settings: Settings, extensions: dict[str, Any]
) -> None:
    async def accepting(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})

    app = RequestMiddleware(accepting, settings)
    large = (b"x", b"a" * MAX_HEADER_BYTES)

    other = await shake_hands(app, (b"host", b"evil.example.com"), extensions=extensions)
    heavy = await shake_hands(app, HOST, large, extensions=extensions)
    good = await shake_hands(app, HOST, extensions=extensions)

    statuses = [messages[0].get("status") for messages in (other, heavy)]
    assert statuses == ([400, 431] if extensions else [None, None])
    assert other[0]["type"] != "websocket.accept"
    assert heavy[0]["type"] != "websocket.accept"
    assert good == [{"type": "websocket.accept"}]
