"""uvicorn's HTTP protocol with limits that are enforced while bytes arrive.

The methods overridden here, and in the server and its supervisor, are not a documented interface:
uvicorn's minor version is pinned, and a test fails if a hook is removed or changed.
"""

import asyncio
from http import HTTPStatus
from typing import Any, Final, cast

import httptools
from uvicorn._types import ASGI3Application, HTTPScope
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from mscr.server.framing import NO_BODY, Framing, origin_form, read_framing
from mscr.server.limits import Limits
from mscr.server.refusal import Answerer, Headers, Refusal, Refused, plain_answer, render
from mscr.server.transport import LingeringTransport

# Input is parsed in pieces of this size, which bounds the objects made before they are counted.
PIECE: Final = 65_536
# Time for a connection that was accepted just before shutdown to send its request.
FRESH_SECONDS: Final = 1.0


class AfterHead:
    """Callbacks of a parser for a body, which ignore the head that precedes it."""

    def __init__(self, protocol: HttpToolsProtocol) -> None:
        self.is_in_head = True
        self._protocol = protocol

    def __getattr__(self, name: str) -> Any:
        callback = getattr(self._protocol, name)

        def unless_in_head(*values: bytes) -> None:
            if not self.is_in_head:
                callback(*values)

        return unless_in_head


class BoundedProtocol(HttpToolsProtocol):
    """One connection. Refuses malformed, too large or too slow requests, and then closes."""

    # Only connection_made assigns it, so that the narrower type is sound.
    transport: LingeringTransport  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: Limits | None = None,
        answer: Answerer = plain_answer,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits = limits or Limits()
        self._answer = answer
        self._is_draining = bool(getattr(server_state, "is_draining", False))
        # A head up to this many bytes cannot exceed any limit.
        self._harmless = min(self._limits.target_bytes, 4 * self._limits.headers)
        # Raw bytes of an unfinished head.
        self._head = 0
        self.url = b""
        # A head is complete, but its body is not.
        self._in_body = False
        self._framing = NO_BODY
        self._may_keep_alive = False
        # The size of the piece that is being parsed.
        self._piece = 0
        self._passed_boundary = False
        self._content = 0
        self._chunks = 0
        self._overhead = 0
        # Bytes of content since the timer was started.
        self._progress = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_is_for_body = False
        # Further input is ignored: it belongs to no request.
        self._is_deaf = False

    # --- the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        wrapped = cast("asyncio.Transport", transport)
        super().connection_made(LingeringTransport(wrapped, self, self._limits, self.loop))
        if len(self.connections) > self._limits.connections:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
        else:
            self._keep_for(self.timeout_keep_alive)

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_timer()
        self._unset_keepalive_if_required()
        self.transport.forget_timer()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self.transport.watch_writing()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():
            self.transport.forget_timer()

    def has_unread_input(self) -> bool:
        return self._in_body or self._is_deaf

    def on_lingering(self) -> None:
        self._is_deaf = True
        self._forget_timer()

    def start_draining(self) -> None:
        """Close the connection after the current response or, without one, after the next."""
        self._is_draining = True
        if (cycle := self._latest()) is not None:
            cycle.keep_alive = False

    def shutdown(self) -> None:
        self.start_draining()
        if self._is_deaf or self._is_receiving() or self._is_answering():
            return
        if self._latest() is None and self.timeout_keep_alive_task is not None:
            self._keep_for(FRESH_SECONDS)
        else:
            self.transport.close()

    def _keep_for(self, seconds: float) -> None:
        self._unset_keepalive_if_required()
        handler = self.timeout_keep_alive_handler
        self.timeout_keep_alive_task = self.loop.call_later(seconds, handler)

    def _is_receiving(self) -> bool:
        """Whether a request has partly arrived."""
        scope: HTTPScope | None = self.scope
        return self._in_body or self._head > 0 or (scope is not None and "method" not in scope)

    def _is_answering(self) -> bool:
        cycle = self._latest()
        return cycle is not None and not cycle.response_complete

    def _latest(self) -> RequestResponseCycle | None:
        """Return the newest request. It may be None, contrary to uvicorn's annotation."""
        return self.cycle

    # --- input

    def data_received(self, data: bytes) -> None:
        if (idle := self.timeout_keep_alive_task) is not None:
            idle.cancel()
            self.timeout_keep_alive_task = None
        if len(data) <= PIECE:
            self._parse(data)
        else:
            for start in range(0, len(data), PIECE):
                self._parse(data[start : start + PIECE])
        if self._is_receiving() and not self._is_deaf:
            self._watch()
        elif self._timer is not None:
            self._forget_timer()

    def _parse(self, data: bytes) -> None:
        if self._is_deaf:
            self._discard(data)
            return
        self._piece = len(data)
        self._passed_boundary = False
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._refuse(cause.status if isinstance(cause, Refused) else HTTPStatus.BAD_REQUEST)
        if self._passed_boundary:
            # At most one piece of the next message is not counted.
            self._head = self._overhead = self._content = self._chunks = 0
        elif not self._is_deaf:
            self._count()

    def _discard(self, data: bytes) -> None:
        if self.transport.is_lingering:
            self.transport.discard(len(data))
        else:
            # Pending responses come first.
            self.flow.pause_reading()

    def _count(self) -> None:
        """Count the bytes that the parser has consumed and not passed on."""
        if not self._in_body:
            self._head += self._piece
            if self._head > self._limits.head_bytes:
                self._refuse(self._too_large())
        elif self._framing.is_chunked:
            # As in Go: 16 bytes for each chunk, and twice its content, are not counted.
            wasted = self._piece - 3 * self._content - 16 * self._chunks
            self._overhead = max(0, self._overhead + wasted)
            self._content = self._chunks = 0
            if self._overhead > self._limits.chunk_overhead:
                self._refuse(HTTPStatus.BAD_REQUEST)

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Continue with HTTP/1.1 (RFC 9110 §7.8), and with the body, which the parser skipped."""
        if self._in_body:
            callbacks = AfterHead(self)
            self.parser = httptools.HttpRequestParser(callbacks)
            self.parser.feed_data(self._framing.as_head())
            callbacks.is_in_head = False
        else:
            self.parser = httptools.HttpRequestParser(self)
        if rest:
            self._parse(rest)

    # --- callbacks of the parser

    def on_header(self, name: bytes, value: bytes) -> None:
        # As in the base class. Calling it would cost more than its work.
        if self._in_body:
            # Drop trailers: they must not be taken for headers (RFC 9110 §6.5.1).
            return
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._passed_boundary = True
        if self._head + self._piece > self._harmless:
            self._check_size()
        self._framing = framing = read_framing(self.headers, self.parser.get_http_version())
        if self.url[:1] != b"/" and not self._is_about_the_server():
            self.url = origin_form(self.url, self.headers)
        if len(self.pipeline) >= self._limits.pipelined:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE)
        super().on_headers_complete()
        self._in_body = True
        self._progress = 0
        self._may_keep_alive = self.cycle.keep_alive
        if self._is_draining or (framing is not NO_BODY and self._is_costly(framing)):
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._content += len(body)
        self._progress += len(body)
        super().on_body(body)

    def on_chunk_header(self) -> None:
        self._chunks += 1

    def on_message_complete(self) -> None:
        if self._framing is not NO_BODY and self.parser.should_upgrade():
            # The message is not complete: the parser skips the body of an upgrade request.
            return
        self._passed_boundary = True
        self._in_body = False
        if not (self._is_draining or self.cycle.response_started):
            self.cycle.keep_alive = self._may_keep_alive
        super().on_message_complete()

    def _check_size(self) -> None:
        if len(self.url) > self._limits.target_bytes:
            raise Refused(HTTPStatus.REQUEST_URI_TOO_LONG)
        too_many = len(self.headers) > self._limits.headers
        lines = sum(len(name) + len(value) + 4 for name, value in self.headers)
        if too_many or len(self.url) + lines > self._limits.head_bytes:
            raise Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def _is_about_the_server(self) -> bool:
        return self.url == b"*" and self.parser.get_method() == b"OPTIONS"

    def _too_large(self) -> HTTPStatus:
        if len(self.url) > self._limits.target_bytes:
            return HTTPStatus.REQUEST_URI_TOO_LONG
        return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE

    def _is_costly(self, framing: Framing) -> bool:
        """Whether a refusal before the end of the body must close the connection."""
        is_long = framing.content_length > self._limits.unwanted_body_bytes
        return is_long or framing.is_chunked or self.expect_100_continue

    # --- time

    def _watch(self) -> None:
        if self._timer is not None and self._timer_is_for_body == self._in_body:
            return
        self._forget_timer()
        self._timer_is_for_body = self._in_body
        seconds = self._limits.body_seconds if self._in_body else self._limits.head_seconds
        self._timer = self.loop.call_later(seconds, self._on_time_out)

    def _forget_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_time_out(self) -> None:
        self._timer = None
        least = self._limits.bytes_per_second * self._limits.body_seconds
        if self._in_body and (self._is_waiting_for_us() or self._progress >= least):
            self._progress = 0
            self._watch()
        else:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)

    def _is_waiting_for_us(self) -> bool:
        return self.flow.read_paused or self.cycle.waiting_for_100_continue or self._is_queued()

    # --- refusals

    def _is_queued(self) -> bool:
        """Whether the request being received waits behind another one."""
        return self._in_body and bool(self.pipeline) and self.pipeline[0][0] is self.cycle

    def _refuse(self, status: HTTPStatus) -> None:
        """Send `status` after the pending responses, then close."""
        self._forget_timer()
        self._is_deaf = True
        if self._is_queued():
            self.cycle.keep_alive = False
            self.pipeline[0] = (self.cycle, self._refusing(status))
        elif not self._is_answering():
            self._answer_with(status)
        elif self._in_body:
            self._break_off(status)
        else:
            self.cycle.keep_alive = False

    def _break_off(self, status: HTTPStatus) -> None:
        """End a request in the middle of its body."""
        self.cycle.disconnected = True
        self.cycle.message_event.set()
        if self.cycle.response_started:
            self.transport.close()
        else:
            self._answer_with(status)

    def _answer_with(self, status: HTTPStatus) -> None:
        # Send nothing more if the response was complete before the end of the body.
        if not self._in_body or not self.cycle.response_complete:
            answer = self._answer(self._refusal(status, self.headers or [], self.url))
            is_head = self.parser.get_method() == b"HEAD"
            defaults = self.server_state.default_headers
            self.transport.write(render(status, answer, defaults, is_head=is_head))
        self.transport.close()

    def _refusal(self, status: HTTPStatus, headers: Headers, target: bytes) -> Refusal:
        return Refusal(status, self.client[0] if self.client else None, headers, target)

    def _refusing(self, status: HTTPStatus) -> ASGI3Application:
        async def application(scope: Any, _receive: Any, send: Any) -> None:
            answer = self._answer(self._refusal(status, scope["headers"], scope["raw_path"]))
            length = (b"content-length", str(len(answer.body)).encode())
            headers = [*answer.headers, length]
            await send({"type": "http.response.start", "status": status.value, "headers": headers})
            await send({"type": "http.response.body", "body": answer.body})

        return application
