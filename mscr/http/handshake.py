"""The opening of a WebSocket, refused and logged like a request.

The application has no WebSockets, so the router refuses each with 403. `serve` switches the
protocol off: there, a handshake is an ordinary request.
"""

from http import HTTPStatus
from typing import Final
from uuid import uuid4

import structlog
from starlette.types import Message, Receive, Scope, Send

from app.core.exceptions import APIError
from app.core.logging import loggable
from app.core.problems import problem_response

log = structlog.get_logger(__name__)

DENIAL: Final = "websocket.http.response"
STATUSES: Final = {
    "websocket.accept": HTTPStatus.SWITCHING_PROTOCOLS,
    "websocket.close": HTTPStatus.FORBIDDEN,
}


class Handshake:
    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.receive = receive
        self._send = send
        self._status: int | None = None

    async def send(self, message: Message) -> None:
        if self._status is None:
            self._status = message.get("status") or STATUSES.get(message["type"])
        await self._send(message)

    async def refuse(self, error: APIError) -> None:
        """Deny with the error where the server can, else with its 403."""
        await self.receive()
        if DENIAL not in self.scope.get("extensions", {}):
            await self.send({"type": "websocket.close", "code": 1008})
            return
        response = problem_response(error, uuid4().hex)
        head = {"status": response.status_code, "headers": response.raw_headers}
        await self.send({"type": f"{DENIAL}.start", **head})
        await self.send({"type": f"{DENIAL}.body", "body": response.body})

    def log_access(self) -> None:
        """Log the path, without the query."""
        client = self.scope.get("client")
        log.info(
            "websocket",
            path=loggable(self.scope["path"]),
            status=self._status,
            client=loggable(client[0]) if client else None,
        )
