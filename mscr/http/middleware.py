"""The outermost middleware, pure ASGI: request id, body limit, headers, access log, catch-all."""

import asyncio
import os
import re
import time
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Final

import structlog
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mscr.core.access_log import AccessLog
from mscr.core.client import customer_of
from mscr.core.config import Settings
from mscr.core.exceptions import (
    APIError,
    BadRequestError,
    ContentEncodingError,
    HeadersTooLargeError,
    PayloadTooLargeError,
    ServiceUnavailableError,
    UntrustedHostError,
)
from mscr.core.hosts import HostFilter
from mscr.core.links import collect_links, link_header
from mscr.core.logging import loggable
from mscr.core.trace_context import trace_id_of
from mscr.db.caller import Caller, calling
from mscr.http.body_limits import body_limit
from mscr.http.cors import CrossOriginPolicy, PreflightRefusedError
from mscr.http.handshake import Handshake
from mscr.http.other_servers import run_lifespan
from mscr.http.presence import Presence
from mscr.http.problems import problem_response
from mscr.http.routing import template_of

log = structlog.get_logger(__name__)
access_log = AccessLog(__name__)

# A client's own request id is accepted only if it is harmless in a log and in a header.
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{8,64}")

# ASVS v3.4: nothing is sniffed, framed, cached or referred. The docs pages bring their own policy.
# An application replaces or adds a header by middleware of its own: see `app/main.py`.
SECURITY_HEADERS: Final[dict[bytes, bytes]] = {
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"cross-origin-resource-policy": b"same-origin",
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
}
# More than any browser sends. `serve` refuses more while it arrives; other servers accept any
# number of megabytes, and parsing the headers here may take seconds for each.
MAX_HEADER_BYTES: Final = 65_536
HSTS: Final = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")


class RequestMiddleware:
    """Wrap every HTTP request and WebSocket handshake; the lifespan passes through."""

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        open_paths: Collection[str] = (),
        cross_origin: CrossOriginPolicy | None = None,
    ) -> None:
        """`open_paths` are served whatever the Host header is."""
        self.app = app
        self._settings = settings
        self._max_body = settings.MAX_BODY_BYTES
        self._hosts = HostFilter(settings.ALLOWED_HOSTS, open_paths)
        self._access_log = settings.ACCESS_LOG
        self._cross_origin = cross_origin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._shake_hands(Handshake(scope, receive, send))
            return
        if scope["type"] != "http":
            await run_lifespan(self.app, scope, receive, send, self._settings)
            return
        exchange = _Exchange(scope, receive, send, self._max_body, self._cross_origin)
        try:
            if self._hosts.allows(scope):
                # The exchange must not hold the caller: a reference cycle of the two would leave
                # each request to the garbage collector.
                with calling(Caller(_share_of(scope), exchange.require_client)):
                    await exchange.run(self.app)
            else:
                await exchange.refuse(UntrustedHostError())
        finally:
            if self._access_log:
                exchange.log_access()

    async def _shake_hands(self, handshake: Handshake) -> None:
        """Check handshakes like requests, for servers other than `serve` and WebSocket routes."""
        try:
            if not self._hosts.allows(handshake.scope):
                await handshake.refuse(UntrustedHostError())
            elif _header_bytes(handshake.scope) > MAX_HEADER_BYTES:
                await handshake.refuse(HeadersTooLargeError())
            else:
                await self.app(handshake.scope, handshake.receive, handshake.send)
        finally:
            if self._access_log:
                handshake.log_access()


class _Exchange:
    """One request and its response."""

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        max_body: int,
        cross_origin: CrossOriginPolicy | None,
    ) -> None:
        self._scope = scope
        self._received = 0
        self._status: int | None = None
        self._is_answered = False
        self._started = time.perf_counter()
        # The first value of each header: `Headers` would search the list for each name.
        sent = dict(reversed(list(scope["headers"])))
        self._cross_origin = cross_origin
        self._send = send
        if cross_origin is not None:
            self._headers = Headers(scope=scope)
            self._send = cross_origin.sending(send, self._headers)
        self._request_id = _request_id(sent.get(b"x-request-id", b"").decode("latin-1"))
        self._announced = sent.get(b"content-length", b"").decode("latin-1")
        self._encoding = sent.get(b"content-encoding", b"").decode("latin-1")
        state = scope.setdefault("state", {})
        # HEAD is GET without the content (RFC 9110 §9.3.2), whatever the route.
        self._is_head = scope["method"] == "HEAD"
        self._routed = {**scope, "method": "GET"} if self._is_head else scope
        state["request_id"] = self._request_id
        # The time of arrival, before anything waits: the rotation of refresh tokens needs it.
        state["arrived_at"] = datetime.now(UTC)
        self._state = state
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=self._request_id)
        if b"traceparent" in sent and (trace_id := _trace_id(scope)) is not None:
            state["trace_id"] = trace_id
            structlog.contextvars.bind_contextvars(trace_id=trace_id)
        self._links = collect_links()
        sends_body = self._announced not in {"", "0"} or b"transfer-encoding" in sent
        self._max_body = body_limit(scope, max_body) if sends_body else max_body
        self._presence = Presence(receive, sends_body=sends_body)

    async def run(self, app: ASGIApp) -> None:
        if (refused := self._unreadable()) is not None:
            await self.refuse(refused)
        elif self._cross_origin is None or not await self._answer_preflight(self._cross_origin):
            await self._run(app)

    async def _run(self, app: ASGIApp) -> None:
        try:
            await app(self._routed, self.receive, self.send)
        except ClientDisconnect:
            # The client disconnected: no fault of ours, and of interest only for the access log.
            if self._status is None:
                await self.refuse(BadRequestError())
        except asyncio.CancelledError:
            # The server is stopping and does not wait longer.
            if self._status is None:
                log.warning(
                    "service_unavailable",
                    reason="the process is stopping, and this request exceeded its time for that",
                    remedy="raise SHUTDOWN_TIMEOUT_SECONDS if it is too short",
                )
                await self.refuse(ServiceUnavailableError())
            raise
        except Exception:
            # The catch-all: log the error, and reveal nothing of it to the client.
            log.exception("unhandled_error")
            if self._status is not None:
                raise
            await self.refuse(APIError())

    def _unreadable(self) -> APIError | None:
        if _header_bytes(self._scope) > MAX_HEADER_BYTES:
            return HeadersTooLargeError()
        if _exceeds(self._announced, self._max_body):
            return PayloadTooLargeError()
        return None if self._encoding.lower() in {"", "identity"} else ContentEncodingError()

    async def _answer_preflight(self, cross_origin: CrossOriginPolicy) -> bool:
        try:
            response = cross_origin.preflight(self._scope, self._headers)
        except PreflightRefusedError as error:
            await self.refuse(error)
            return True
        if response is not None:
            await response(self._scope, self._presence.receive, self.send)
        return response is not None

    async def refuse(self, error: APIError) -> None:
        response = problem_response(error, self._request_id)
        await response(self._scope, self._presence.receive, self.send)

    def require_client(self) -> None:
        if not self._is_answered and self._presence.is_gone():
            raise ClientDisconnect

    async def receive(self) -> Message:
        message = await self._presence.receive()
        if message["type"] == "http.request":
            self._received += len(message.get("body", b""))
            if self._received > self._max_body:
                # FastAPI lets only this class through where it reads the body.
                raise HTTPException(PayloadTooLargeError.status)
            # Renew it until the last byte: early headers must not make a late token look early.
            self._state["arrived_at"] = datetime.now(UTC)
        return message

    async def send(self, message: Message) -> None:
        # After the last byte, servers report a disconnect, although the client just has it all.
        self._is_answered = message["type"] == "http.response.body" and not message.get("more_body")
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = message.setdefault("headers", [])
            present = {name for name, _ in headers}
            headers.extend(h for h in SECURITY_HEADERS.items() if h[0] not in present)
            headers.append((b"x-request-id", self._request_id.encode()))
            if self._links:
                headers.append((b"link", link_header(self._links).encode()))
            if self._scope["scheme"] == "https":
                headers.append(HSTS)
        elif self._is_head:
            await self._send({"type": message["type"], "body": b""})
            if message.get("more_body"):
                # End a stream as if the client had disconnected: nobody reads the rest.
                raise ClientDisconnect
            return
        await self._send(message)

    def log_access(self) -> None:
        client = self._scope.get("client")
        access_log.write_request(
            method=self._scope["method"],
            path=loggable(self._scope["path"]),
            route=template_of(self._routed),
            status=self._status,
            seconds=time.perf_counter() - self._started,
            client=client[0] if client else None,
        )


def _share_of(scope: Scope) -> str:
    """Return the pool's key of the caller until a token names the user: the client's address."""
    address: str = (scope.get("client") or ("", 0))[0]
    # An IPv4 address is its own key: parsing it would take longer than all else here.
    return f"address {customer_of(address) if ':' in address else address}"


def _header_bytes(scope: Scope) -> int:
    return sum(len(name) + len(value) for name, value in scope["headers"])


def _exceeds(content_length: str, limit: int) -> bool:
    number = content_length.lstrip("0")
    # Compare the lengths first: Python refuses to parse a number of thousands of digits.
    return number.isdecimal() and (len(number) > len(str(limit)) or int(number) > limit)


def _trace_id(scope: Scope) -> str | None:
    return trace_id_of(Headers(scope=scope).getlist("traceparent"))


def _request_id(offered: str) -> str:
    if _REQUEST_ID.fullmatch(offered):
        return offered
    return os.urandom(16).hex()
