"""Detect a client's disconnect, without waiting for it."""

from collections import deque
from typing import TYPE_CHECKING, Any, Final, cast

from starlette.types import Message, Receive

if TYPE_CHECKING:
    from collections.abc import Generator

_DISCONNECT: Final = "http.disconnect"


class Presence:
    """Pass on the messages of one request's client, and look ahead for its disconnect.

    The server reports a disconnect as a message after the body. While a body is still arriving,
    there is no look-ahead, and the client counts as present.
    """

    def __init__(self, receive: Receive, *, sends_body: bool) -> None:
        self._receive = receive
        self._is_complete = not sends_body
        self._is_receiving = False
        self._is_gone = False
        self._seen: deque[Message] = deque()

    async def receive(self) -> Message:
        if self._seen:
            return self._seen.popleft()
        self._is_receiving = True
        try:
            message = await self._receive()
        finally:
            self._is_receiving = False
        self._note(message)
        return message

    def is_gone(self) -> bool:
        # Do not read while the application waits in receive(): it would miss the message read here.
        while self._is_complete and not self._is_receiving and not self._is_gone:
            message = _at_once(self._receive)
            if message is None:
                break
            self._note(message)
            self._seen.append(message)
        return self._is_gone

    def _note(self, message: Message) -> None:
        self._is_gone = message["type"] == _DISCONNECT
        self._is_complete = not message.get("more_body", False)


def _at_once(receive: Receive) -> Message | None:
    """Return the next message if there is one already, else None."""
    step = cast("Generator[Any, None, Message]", receive().__await__())
    try:
        next(step)
    except StopIteration as done:
        message: Message = done.value
        return message
    finally:
        # Closing the coroutine releases what it waits for.
        step.close()
    return None
