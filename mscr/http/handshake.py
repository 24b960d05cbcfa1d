"""The handshake of a WebSocket, refused and logged like a request.

The application has no WebSockets, so the router refuses each with 403. `serve` switches the
protocol off: there, a handshake is an ordinary request.
"""

from http import HTTPStatus
from typing import Final
from uuid import uuid4

from starlette.types import Message, Receive, Scope, Send

from mscr.core.access_log import AccessLog
from mscr.core.exceptions import APIError
from mscr.core.logging import loggable
from mscr.http.problems import problem_response
from mscr.http.routing import template_of

access_log = AccessLog(__name__)

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
        """Refuse with this error if the server can send it, otherwise with the server's 403."""
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
        access_log.write(
            "websocket",
            path=loggable(self.scope["path"]),
            route=template_of(self.scope),
            status=self._status,
            client=loggable(client[0]) if client else None,
        )
