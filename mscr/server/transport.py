"""A transport that lingers on close, so that the client receives the last response."""

import asyncio
from typing import Any, Protocol

from mscr.server.limits import Limits


class Connection(Protocol):
    def has_unread_input(self) -> bool:
        """Whether the client is still sending a request that will not be read completely."""
        ...

    def on_lingering(self) -> None:
        """Handle the start of lingering: the last response is written, and input is discarded."""


class LingeringTransport(asyncio.Transport):
    """Wraps a connection's transport. `close` lingers while the client is still sending.

    Closing a socket with unread input resets the connection, and a reset discards data that the
    client has not read yet. So the writing side is closed first, and input is discarded for a
    while.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        connection: Connection,
        limits: Limits,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__()
        self._transport = transport
        self._connection = connection
        self._limits = limits
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._unsent = 0
        self._discarded = 0
        self.is_lingering = False
        # The wrapped method itself, to save a call for each response.
        self.write = transport.write  # type: ignore[method-assign]

    def is_closing(self) -> bool:
        return self.is_lingering or self._transport.is_closing()

    def close(self) -> None:
        if self.is_closing():
            return
        if self._connection.has_unread_input() and self._transport.can_write_eof():
            self._linger()
        else:
            self._transport.close()
            if self._transport.get_write_buffer_size():
                self.watch_writing()

    def abort(self) -> None:
        self.forget_timer()
        self._transport.abort()

    def discard(self, count: int) -> None:
        """Count `count` bytes that arrived while lingering."""
        self._discarded += count
        if self._discarded > self._limits.linger_bytes:
            self.abort()

    def watch_writing(self) -> None:
        """Abort the connection if its client reads too slowly."""
        self.forget_timer()
        self._unsent = self._transport.get_write_buffer_size()
        self._timer = self._loop.call_later(self._limits.write_seconds, self._check_writing)

    def forget_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check_writing(self) -> None:
        unsent = self._transport.get_write_buffer_size()
        least = self._limits.bytes_per_second * self._limits.write_seconds
        if unsent and self._unsent - unsent < least:
            self.abort()
        elif unsent:
            self.watch_writing()
        else:
            # The client has read a response that was unsent when lingering ended, and stays.
            self._timer = self._loop.call_later(self._limits.linger_seconds, self.abort)

    def _linger(self) -> None:
        self.is_lingering = True
        self._transport.write_eof()
        self._transport.resume_reading()
        self._connection.on_lingering()
        self._timer = self._loop.call_later(self._limits.linger_seconds, self._end_lingering)

    def _end_lingering(self) -> None:
        if self._transport.get_write_buffer_size():
            self.watch_writing()
        else:
            self.abort()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()
