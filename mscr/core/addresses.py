"""IP addresses and networks, parsed and normalized: they are compared as values, not as text."""

from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Trusts every peer. For development only.
EVERYBODY: Final = "*"
# Trusts peers on a unix socket, which have no address: the file's mode restricts who may connect.
UNIX_SOCKET: Final = "unix"
# The longest notation: an IPv6 address of 45 characters with a zone, the name of an interface.
MAX_LENGTH: Final = 64
# ::ffff:0:0/96 holds the IPv4 addresses that a dual-stack listener sees (RFC 4291 §2.5.5.2).
_MAPPED_PREFIX: Final = 96


def parse_address(text: str) -> Address:
    """Parse an address. An IPv4-mapped one becomes IPv4, and a zone (`%eth0`) is dropped.

    Raises `ValueError` for anything else.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError("not an address")
    address = ip_address(text)
    if isinstance(address, IPv4Address):
        return address
    return address.ipv4_mapped or IPv6Address(int(address))


def parse_network(text: str) -> Network:
    """Parse an address or a network. Host bits are ignored, and IPv4-mapped becomes IPv4.

    Raises `ValueError` for anything else.
    """
    if "%" in text:
        raise ValueError("a network has no zone")
    network = ip_network(text, strict=False)
    first = network.network_address
    mapped = first.ipv4_mapped if isinstance(first, IPv6Address) else None
    if mapped is None or network.prefixlen < _MAPPED_PREFIX:
        return network
    return IPv4Network((mapped, network.prefixlen - _MAPPED_PREFIX))


def canonical_address(text: str) -> str:
    """Return an address in its canonical notation. Return any other text unchanged."""
    try:
        return str(parse_address(text))
    except ValueError:
        return text
