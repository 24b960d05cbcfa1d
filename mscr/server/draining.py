"""uvicorn's server with a graceful shutdown that loses no request.

1. After the signal, the server drains: readiness fails, so that load balancers stop sending
   requests, while the server continues to serve and closes each connection after its response.
2. It closes the port without resetting connections in the backlog.
3. It finishes the requests in flight.
"""

import asyncio
import logging
import signal
import socket
import time
from types import FrameType
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.server import Server, ServerState

from mscr.server.backlog import is_waiting, refuse_new
from mscr.server.status import STATE_KEY, ServerStatus

TICK_SECONDS: Final = 0.05
# The backlog counts as empty after QUIET_SECONDS without a connection, and in any case
# BACKLOG_SECONDS after the drain.
QUIET_SECONDS: Final = 0.15
BACKLOG_SECONDS: Final = 2.0
# Workers drain for longer than the supervisor waits before it refuses new connections.
WORKER_MARGIN_SECONDS: Final = 0.7

log = logging.getLogger("uvicorn.error")


def stop_on_hangup() -> None:
    """Make SIGHUP stop a server without workers like SIGTERM, unless it is ignored (`nohup`).

    By default, SIGHUP ends a process immediately, with all its connections.
    """
    hangup = getattr(signal, "SIGHUP", None)
    if hangup is not None and signal.getsignal(hangup) is signal.SIG_DFL:
        signal.signal(hangup, lambda *_: signal.raise_signal(signal.SIGTERM))


class DrainingState(ServerState):
    """The state shared by all connections of a server."""

    is_draining = False


class DrainingServer(Server):
    """Continues to serve for `drain_seconds` after the signal. A second interrupt ends the drain.

    Requires `BoundedProtocol` as the HTTP protocol, and no WebSockets.
    """

    def __init__(self, config: Config, *, drain_seconds: float, is_worker: bool = False) -> None:
        super().__init__(config)
        self.server_state = DrainingState()
        self.status = ServerStatus()
        self._drain_seconds = drain_seconds
        self._is_worker = is_worker
        self._is_hurried = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.lifespan.state[STATE_KEY] = self.status
        await super().startup(sockets=sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # Readiness fails from now on, not from the next tick of the main loop.
        self.status.is_draining = True
        if not self.should_exit or self._is_hurried:
            super().handle_exit(sig, frame)
        elif sig == signal.SIGINT or not self._is_worker:
            # A worker may get SIGTERM twice: from its supervisor and from the system.
            self._is_hurried = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._start_draining()
        margin = WORKER_MARGIN_SECONDS if self._is_worker and self._drain_seconds else 0
        await self._serve_on(self._drain_seconds + margin)
        await self._empty_backlog(sockets or [])
        await super().shutdown(sockets=sockets)

    def _start_draining(self) -> None:
        self.status.is_draining = True
        state: Any = self.server_state
        state.is_draining = True
        for connection in list(state.connections):
            connection.start_draining()

    async def _serve_on(self, seconds: float) -> None:
        if seconds:
            log.info("Draining for %s s", seconds)
        deadline = time.monotonic() + seconds
        ticks = 0
        while time.monotonic() < deadline and not self._is_hurried:
            # Updates the Date header.
            await self.on_tick(ticks)
            ticks = (ticks + 1) % 10
            await asyncio.sleep(min(0.1, seconds))

    async def _empty_backlog(self, sockets: list[socket.socket]) -> None:
        if not self._is_worker:
            # Workers share their sockets with their replacements.
            refuse_new(sockets)
        now = time.monotonic()
        deadline, quiet_since = now + BACKLOG_SECONDS, now
        while sockets and now < deadline and now - quiet_since < QUIET_SECONDS:
            await asyncio.sleep(TICK_SECONDS / 2)
            now = time.monotonic()
            if is_waiting(sockets):
                quiet_since = now
