"""Requests to servers whose URLs others have chosen (webhooks), without access to internal ones.

A URL of a user may lead to this machine, its network or the metadata server of its cloud (SSRF),
by a name that resolves to an internal address, by one that resolves to another address the second
time (DNS rebinding), or by a redirect.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, Final

from mscr.connections.public_addresses import is_loopback, is_public

if TYPE_CHECKING:
    from httpx2 import URL, AsyncHTTPTransport, Response

DEFAULT_TIMEOUT: Final = timedelta(seconds=10)
DEFAULT_MAX_BODY_BYTES: Final = 65_536
MAX_URL_LENGTH: Final = 2_000
# Others belong to protocols that an attacker could reach with our address.
_PORTS: Final = (443, 8443)
_SUCCESSES: Final = range(200, 300)
# A name with many addresses must not multiply the attempts.
_MAX_ADDRESSES: Final = 4
_LOOKUP_THREADS: Final = 8


class ForbiddenUrlError(ValueError):
    """The URL must not be requested. The text has the reason, and no part of the URL."""


@dataclass(frozen=True, slots=True)
class PublicResponse:
    """A response. A redirect is a response too, and is not followed."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    """At most the client's `max_body_bytes`; the rest is not read. It is not decompressed."""

    @property
    def is_success(self) -> bool:
        return self.status in _SUCCESSES


@dataclass(frozen=True, slots=True)
class _Request:
    content: bytes
    headers: Mapping[str, str]
    deadline: float


class PublicClient:
    """Sends requests to public servers: by https, to a public address, and nowhere else.

    Each name is resolved once. All of its addresses must be public, and the connection goes to one
    of them, while TLS verifies the name. Redirects are not followed, and proxies of the environment
    are not used. Time and size of a response are bounded.

    Warning: `accept_loopback` also allows http, any port, and this machine: for tests only.
    """

    def __init__(
        self,
        *,
        timeout: timedelta = DEFAULT_TIMEOUT,
        max_body_bytes: int = DEFAULT_MAX_BODY_BYTES,
        accept_loopback: bool = False,
    ) -> None:
        self._timeout = timeout
        self._max_body_bytes = max_body_bytes
        self._accept_loopback = accept_loopback

    def check_url(self, url: str) -> None:
        """Raise `ForbiddenUrlError` for a URL that is never requested. Resolves no name."""
        self._parsed(url)

    async def post(self, url: str, content: bytes, headers: Mapping[str, str]) -> PublicResponse:
        """Send a POST.

        Raises `ForbiddenUrlError`, `TimeoutError`, `OSError` for a name that cannot be resolved,
        and `httpx2.HTTPError`.
        """
        target = self._parsed(url)
        deadline = asyncio.get_running_loop().time() + self._timeout.total_seconds()
        async with asyncio.timeout_at(deadline):
            addresses = await self._addresses(target)
            return await self._send(target, addresses, _Request(content, headers, deadline))

    def _parsed(self, url: str) -> "URL":
        # The parser of the client that sends the request: another one may read another host.
        from httpx2 import URL, InvalidURL  # noqa: PLC0415  # loaded only if used

        try:
            found = URL(url) if len(url) <= MAX_URL_LENGTH else URL()
        except (InvalidURL, ValueError):
            found = URL()
        schemes = ("https", "http") if self._accept_loopback else ("https",)
        if found.scheme not in schemes or not found.host:
            raise ForbiddenUrlError("a URL needs the form https://host/path")
        if found.userinfo:
            raise ForbiddenUrlError("a URL must not contain a user or a password")
        if not self._accept_loopback and _port(found) not in _PORTS:
            raise ForbiddenUrlError(f"the port must be one of {', '.join(map(str, _PORTS))}")
        return found

    async def _addresses(self, url: "URL") -> list[str]:
        """Resolve the name, once. Raise `ForbiddenUrlError` unless all addresses are public."""
        host = url.raw_host.decode("ascii")
        resolve = partial(socket.getaddrinfo, host, _port(url), type=socket.SOCK_STREAM)
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._lookups, resolve)
        except UnicodeError:
            raise ForbiddenUrlError("the host is no valid name") from None
        addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
        # All of them: one internal address among public ones is an attack, or a mistake.
        if not all(map(self._may_connect, addresses)):
            raise ForbiddenUrlError("the host has an address that is not public")
        return addresses[:_MAX_ADDRESSES]

    def _may_connect(self, address: str) -> bool:
        return is_public(address) or (self._accept_loopback and is_loopback(address))

    async def _send(self, url: "URL", addresses: list[str], request: _Request) -> PublicResponse:
        from httpx2 import (  # noqa: PLC0415  # as above
            AsyncHTTPTransport,
            ConnectError,
            ConnectTimeout,
        )

        # Not `AsyncClient`, which logs URLs: their paths may contain secrets.
        async with AsyncHTTPTransport(verify=self._tls, trust_env=False) as transport:
            *others, last = addresses
            remaining = request.deadline - asyncio.get_running_loop().time()
            # The limit applies twice, to TCP and to TLS.
            limit = remaining / len(addresses) / 2
            for address in others:
                # Nothing was sent: the next address may work, as IPv4 does without IPv6.
                with contextlib.suppress(ConnectError, ConnectTimeout):
                    return await self._exchange(transport, url, address, request, limit)
            return await self._exchange(transport, url, last, request)

    async def _exchange(
        self,
        transport: "AsyncHTTPTransport",
        url: "URL",
        address: str,
        request: _Request,
        connect_seconds: float | None = None,
    ) -> PublicResponse:
        from httpx2 import Request  # noqa: PLC0415  # as above

        response = await transport.handle_async_request(
            Request(
                "POST",
                # The address that was checked: no other resolution happens.
                url.copy_with(host=address),
                content=request.content,
                headers={
                    **request.headers,
                    "host": url.netloc.decode("ascii"),
                    "accept-encoding": "identity",
                },
                extensions={
                    "sni_hostname": url.raw_host.decode("ascii"),
                    "timeout": {"connect": connect_seconds},
                },
            )
        )
        try:
            body = await self._beginning(response)
        finally:
            await response.aclose()
        return PublicResponse(response.status_code, dict(response.headers), body)

    async def _beginning(self, response: "Response") -> bytes:
        body = b""
        # Raw: a small compressed body could be huge.
        async for part in response.aiter_raw():
            body += part
            if len(body) >= self._max_body_bytes:
                break
        return body[: self._max_body_bytes]

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        # Created once: it reads all certificates of the machine.
        return ssl.create_default_context()

    @cached_property
    def _lookups(self) -> ThreadPoolExecutor:
        # Not the loop's threads: a slow name server of an attacker would hold them, since a lookup
        # cannot be cancelled, and nothing else of this process could resolve a name.
        return ThreadPoolExecutor(_LOOKUP_THREADS, "public-lookup")


def _port(url: "URL") -> int:
    if url.port is None:
        return 443 if url.scheme == "https" else 80
    return url.port
