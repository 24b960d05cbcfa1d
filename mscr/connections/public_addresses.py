"""Addresses of the public internet, against requests to internal servers (SSRF)."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

_UNICAST: Final = ip_network("2000::/3")
# Translated by the network to the IPv4 address in its last 32 bits (RFC 6052).
_NAT64: Final = ip_network("64:ff9b::/96")
# Global for `ipaddress`, of this Python or of an older one, and not for the internet.
_SPECIAL: Final = tuple(
    map(
        ip_network,
        (
            "168.63.129.16/32",  # Azure's server of the virtual machine
            "192.0.0.0/24",  # protocol assignments; 192.0.0.192 is Oracle's metadata server
            "192.88.99.0/24",  # relays of 6to4
            "224.0.0.0/4",  # multicast
            "2001::/23",  # protocol assignments, among them Teredo, which contains IPv4 addresses
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4, which contains IPv4 addresses
            "3fff::/20",  # documentation
        ),
    )
)


def is_public(text: str) -> bool:
    """Return whether this is an address of the public internet. A zone (`%eth0`) is none."""
    address = ip_address(text)
    if isinstance(address, IPv6Address):
        if (embedded := _embedded(address)) is not None:
            return is_public(str(embedded))
        if address not in _UNICAST:
            return False
    return address.is_global and not any(address in network for network in _SPECIAL)


def is_loopback(text: str) -> bool:
    """Return whether this is an address of this machine."""
    return ip_address(text).is_loopback


def _embedded(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that a connection to this address leads to."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped
