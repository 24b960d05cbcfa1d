"""Change the problems that an application sends, whatever part of it sends them."""

import json
from collections.abc import Callable
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Message, Send

from mscr.http.problems import PROBLEM_MEDIA_TYPE


class ProblemSender:
    """Buffer a problem until it is complete, and send `change` of it; pass others through."""

    def __init__(
        self,
        send: Send,
        change: Callable[[dict[str, Any]], bytes],
        media_type: str = PROBLEM_MEDIA_TYPE,
    ) -> None:
        self._send = send
        self._change = change
        self._media_type = media_type
        self._start: Message | None = None
        self._content = b""

    async def send(self, message: Message) -> None:
        # The response to a WebSocket's handshake is `websocket.http.response.start`.
        if message["type"].endswith("http.response.start") and _is_problem(message):
            self._start = message
        elif self._start is None:
            await self._send(message)
        else:
            self._content += message.get("body", b"")
            if not message.get("more_body"):
                await self._complete(self._start, message["type"])

    async def _complete(self, start: Message, body_type: str) -> None:
        headers = MutableHeaders(scope=start)
        headers["content-type"] = self._media_type
        if self._content:
            self._content = self._change(json.loads(self._content))
            headers["content-length"] = str(len(self._content))
        else:
            # A response to HEAD: its length is that of the unchanged problem.
            del headers["content-length"]
        await self._send(start)
        await self._send({"type": body_type, "body": self._content})


def _is_problem(start: Message) -> bool:
    return Headers(raw=start.get("headers", [])).get("content-type") == PROBLEM_MEDIA_TYPE
