"""The client behind trusted proxies: `X-Forwarded-For` and `X-Forwarded-Proto`.

`Forwarded` (RFC 7239), `X-Forwarded-Host` and `X-Forwarded-Prefix` are not read: a proxy that does
not set such a header passes on what the client wrote into it.
"""

import re
from collections.abc import Awaitable, Iterable, MutableMapping
from functools import lru_cache
from typing import Any, Final

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from mscr.core.addresses import (
    EVERYBODY,
    MAX_LENGTH,
    UNIX_SOCKET,
    Address,
    parse_address,
    parse_network,
)

log = structlog.get_logger(__name__)

FORWARDED_FOR: Final = b"x-forwarded-for"
FORWARDED_PROTO: Final = b"x-forwarded-proto"
FORWARDED: Final = b"forwarded"
_HEADERS: Final = frozenset({FORWARDED_FOR, FORWARDED_PROTO, FORWARDED})
# More proxies than any chain has. The rest of a longer header is not read.
_MAX_HOPS: Final = 32
# Room for quotes, brackets and a port. A longer entry is no address, and truncated it is none.
_MAX_ENTRY: Final = MAX_LENGTH + 16
_WITH_PORT: Final = re.compile(r"(?:\[(?P<ipv6>[^\]]*)\]|(?P<ipv4>[0-9.]*))(?::[0-9]*)?")
_WEBSOCKET_SCHEMES: Final = {"http": "ws", "https": "wss"}


class ForwardedMiddleware:
    """Replace the proxy's address and scheme in the scope with those of the client.

    The client's address is normalized, whether it was forwarded or not.
    """

    def __init__(self, app: ASGIApp, trusted: Iterable[str]) -> None:
        """`trusted` has addresses and networks, `unix`, or `*`."""
        self.app = app
        names = set(trusted)
        self._trusts_all = EVERYBODY in names
        self._trusts_unix = self._trusts_all or UNIX_SOCKET in names
        self._networks = [parse_network(name) for name in names - {EVERYBODY, UNIX_SOCKET}]
        # Cached, because parsing takes longer than all the rest.
        self._peer = lru_cache(maxsize=1024)(self._look_at)
        self._entry = lru_cache(maxsize=1024)(self._read)
        self._warned: set[str] = set()

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] in {"http", "websocket"}:
            self._resolve(scope)
        return self.app(scope, receive, send)

    def _resolve(self, scope: Scope) -> None:
        client = scope.get("client")
        if client is None or not client[0]:
            name, is_trusted = "a unix socket", self._trusts_unix
        else:
            name, is_trusted = self._peer(client[0])
            scope["client"] = (name, client[1])
        sent = _forwarded_headers(scope)
        if not sent:
            return
        if not is_trusted:
            self._warn("if this is your proxy, add its address to TRUSTED_PROXIES", name, sent)
            return
        self._believe(scope, sent)
        if FORWARDED_FOR not in sent:
            self._warn("let the proxy set X-Forwarded-For; Forwarded is not read", name, sent)

    def _look_at(self, host: str) -> tuple[str, bool]:
        """Return a peer's normalized address, and whether it is trusted."""
        try:
            address = parse_address(host)
        except ValueError:
            return host, self._trusts_all
        return str(address), self._trusts(address)

    def _read(self, entry: str) -> tuple[str | None, bool]:
        """Return an entry's normalized address, or None, and whether it is trusted."""
        address = _entry_address(entry)
        return (None, False) if address is None else (str(address), self._trusts(address))

    def _trusts(self, address: Address) -> bool:
        return self._trusts_all or any(address in network for network in self._networks)

    def _believe(self, scope: MutableMapping[str, Any], sent: dict[bytes, str]) -> None:
        hops = 1
        if FORWARDED_FOR in sent:
            found, hops = self._client(sent[FORWARDED_FOR])
            if found is not None:
                # Only the proxy needs the client's port.
                scope["client"] = (found, 0)
        scheme = _scheme(sent.get(FORWARDED_PROTO, ""), hops)
        if scheme is not None:
            scope["scheme"] = scheme if scope["type"] == "http" else _WEBSOCKET_SCHEMES[scheme]

    def _client(self, header: str) -> tuple[str | None, int]:
        """Return the last address that is no trusted proxy's, and its position from the right.

        Each proxy appends the address that it sees. Entries to the left of the first untrusted
        address may be forged by the client.
        """
        client: str | None = None
        entries = _last_entries(header)
        for hops, entry in enumerate(entries, start=1):
            # Longer entries are garbage, and must not fill the cache.
            address, is_trusted = self._entry(entry[:_MAX_ENTRY])
            # Garbage, or `unknown`: the proxy that reported it is the last known address.
            client = address or client
            if not is_trusted:
                return client, hops
        return client, max(1, len(entries))

    def _warn(self, remedy: str, peer: str, sent: dict[bytes, str]) -> None:
        # Once per process: every request through a proxy has the header.
        if remedy not in self._warned:
            self._warned.add(remedy)
            names = ", ".join(sorted(name.decode() for name in sent))
            log.warning("forwarded_header_ignored", peer=peer, headers=names, remedy=remedy)


def _forwarded_headers(scope: Scope) -> dict[bytes, str]:
    """Return the forwarded headers; several lines of one name make one list (RFC 9110 §5.3)."""
    sent: dict[bytes, str] = {}
    for name, value in scope["headers"]:
        if name in _HEADERS:
            text = value.decode("latin-1")
            sent[name] = f"{sent[name]},{text}" if name in sent else text
    return sent


def _last_entries(header: str) -> list[str]:
    """Return the last non-empty entries of a list, from right to left."""
    entries = [entry.strip(" \t") for entry in header.rsplit(",", _MAX_HOPS)]
    # The first one may be the rest of a longer header.
    return [entry for entry in reversed(entries) if entry][:_MAX_HOPS]


def _entry_address(entry: str) -> Address | None:
    """Read `1.2.3.4`, `1.2.3.4:5678`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:5678`."""
    text = entry.strip('"')
    found = _WITH_PORT.fullmatch(text)
    try:
        return parse_address((found["ipv6"] or found["ipv4"] or "") if found else text)
    except ValueError:
        return None


def _scheme(header: str, hops: int) -> str | None:
    """Return the scheme reported by the proxy that reported the client, if it is one.

    Proxies that append to both headers write one scheme for each address. One that replaces the
    header leaves fewer, all of them written by trusted proxies: the first is nearest to the client.
    """
    schemes = _last_entries(header)
    scheme = schemes[min(hops, len(schemes)) - 1].lower() if schemes else ""
    return scheme if scheme in _WEBSOCKET_SCHEMES else None
