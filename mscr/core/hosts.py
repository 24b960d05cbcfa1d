"""Host names in requests and settings: parsed by their grammar, and normalized to compare."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Final

from starlette.types import Scope

from mscr.core.addresses import parse_address

# RFC 9110 §7.2: uri-host [":" port]. No user information, path, query or white space.
_HOST: Final = re.compile(
    r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._~%!$&'()*+,;=-]+))(?::(?P<port>[0-9]*))?"
)
_DNS_NAME: Final = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_ORIGIN: Final = re.compile(r"(https?)://(.+)", re.IGNORECASE)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_MAX_PORT: Final = 65_535
# Longer Host headers are not cached: a DNS name has 253 characters at most.
_MAX_CACHED: Final = 260


@dataclass(frozen=True, slots=True)
class Host:
    """A host of a URL. `name` is in lower case, an IPv6 address without brackets."""

    name: str
    port: int | None
    is_ipv6: bool = False

    @classmethod
    def parse(cls, text: str) -> "Host | None":
        """Parse the value of a Host header. Return None if the grammar does not allow it."""
        found = _HOST.fullmatch(text)
        if found is None or len(found["port"] or "") > len(str(_MAX_PORT)):
            return None
        port = int(found["port"]) if found["port"] else None
        if port is not None and port > _MAX_PORT:
            return None
        if found["ipv6"] is None:
            return cls(found["name"].lower(), port)
        try:
            return cls(IPv6Address(found["ipv6"]).compressed, port, is_ipv6=True)
        except ValueError:
            return None

    @property
    def served_name(self) -> str:
        """The name to compare. An IPv4-mapped address becomes the IPv4 address."""
        return str(parse_address(self.name)) if self.is_ipv6 else self.name

    def origin(self, scheme: str) -> str:
        """Return the origin as browsers write it: without the scheme's default port."""
        name = f"[{self.name}]" if self.is_ipv6 else self.name
        is_default = self.port in {None, _DEFAULT_PORTS.get(scheme)}
        return f"{scheme}://{name}" if is_default else f"{scheme}://{name}:{self.port}"


def canonical_origin(text: str) -> str | None:
    """Return an http or https origin as browsers write it, or None if the text is not one."""
    found = _ORIGIN.fullmatch(text)
    host = Host.parse(found[2]) if found else None
    if found is None or host is None or "*" in host.name:
        return None
    return host.origin(found[1].lower())


def check_host_pattern(value: str) -> str:
    """Return `api.example.com`, `*.example.com` or an address in its canonical form.

    Raises `ValueError` for a value that no Host header could match.
    """
    bare = value.lower().removeprefix("*.")
    address = _address(bare[1:-1] if bare.startswith("[") and bare.endswith("]") else bare)
    if address is not None and bare == value.lower():
        return address
    if _DNS_NAME.fullmatch(bare):
        return value.lower()
    raise ValueError(f"needs host names, as in api.example.com or *.example.com{_hint(value)}")


def _address(text: str) -> str | None:
    try:
        return str(parse_address(text))
    except ValueError:
        return None


def _hint(value: str) -> str:
    if "/" in value:
        return "; remove the scheme and the path"
    if value == "*":
        return "; leave it empty to serve any host"
    if not value.isascii():
        return "; write other letters in their ASCII form, xn--..."
    if re.search(r":[0-9]*$", value):
        return "; remove the port, as every port is served"
    if value.endswith("."):
        return "; remove the dot at the end"
    return ""


class HostFilter:
    """Decides whether the Host header of a request names a served host."""

    def __init__(self, patterns: Iterable[str], open_paths: Collection[str] = ()) -> None:
        """`patterns` come from `check_host_pattern`. Without any, every well-formed host is served.

        Requests to `open_paths` pass with any host or none: probes call a machine by its address.
        """
        listed = set(patterns)
        self._names = frozenset(name for name in listed if not name.startswith("*"))
        self._suffixes = tuple(name[1:] for name in listed - self._names)
        self._open_paths = frozenset(open_paths)
        # Nearly all requests have one of a few hosts.
        self._cached = lru_cache(maxsize=64)(self._is_served)

    def allows(self, scope: Scope) -> bool:
        if scope["path"].removeprefix(scope.get("root_path", "")) in self._open_paths:
            return True
        sent = [value for name, value in scope["headers"] if name == b"host"]
        if len(sent) == 1 and len(sent[0]) <= _MAX_CACHED:
            return self._cached(sent[0])
        if not sent:
            # HTTP/1.0 does not require the header.
            return not self._is_limited
        return len(sent) == 1 and self._is_served(sent[0])

    def _is_served(self, sent: bytes) -> bool:
        host = Host.parse(sent.decode("latin-1"))
        return host is not None and (not self._is_limited or self._serves(host.served_name))

    @property
    def _is_limited(self) -> bool:
        return bool(self._names or self._suffixes)

    def _serves(self, name: str) -> bool:
        if name in self._names:
            return True
        return name.endswith(self._suffixes) and _DNS_NAME.fullmatch(name) is not None
