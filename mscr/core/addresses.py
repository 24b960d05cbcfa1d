"""IP addresses and networks, in one spelling: they are compared as values, never as text."""

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

# Trusts every peer; for development.
EVERYBODY: Final = "*"
# Trusts peers on a unix socket, which have no address: the file's mode says who may connect.
UNIX_SOCKET: Final = "unix"
# The longest spelling, with a zone: 45 characters, and the name of an interface.
MAX_LENGTH: Final = 64
# ::ffff:0:0/96 holds the IPv4 addresses that a dual-stack listener sees (RFC 4291 §2.5.5.2).
_MAPPED_PREFIX: Final = 96


def parse_address(text: str) -> Address:
    """Parse an address: one that is IPv4-mapped becomes IPv4, and a zone (`%eth0`) is dropped.

    Raises `ValueError` for anything else.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError("not an address")
    address = ip_address(text)
    if isinstance(address, IPv4Address):
        return address
    return address.ipv4_mapped or IPv6Address(int(address))


def parse_network(text: str) -> Network:
    """Parse an address or a network, whose host bits are ignored; IPv4-mapped becomes IPv4.

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
    """Return the one spelling of an address, or the text itself if it is no address."""
    try:
        return str(parse_address(text))
    except ValueError:
        return text
