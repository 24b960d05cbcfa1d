"""The device of a login, as far as a request shows it."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from typing import Final, Self

from mscr.core.addresses import parse_address
from mscr.core.client import Client

# Browsers imitate others: the first mark that a User-Agent contains decides.
_PROGRAMS: Final = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS: Final = (
    ("Android", "Android"),
    ("iPhone", "iOS"),
    ("iPad", "iOS"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)
# A provider's network, roughly. Home connections and phones change their address inside it, and
# would otherwise cause a notice at each login.
_IPV4_PREFIX: Final = 16
_IPV6_PREFIX: Final = 32


@dataclass(frozen=True, slots=True)
class Device:
    """A kind of program and system, in the network of a provider.

    Warning: the User-Agent is the client's own claim. Only the network is hard to choose.
    """

    program: str
    network: str

    @classmethod
    def of(cls, client: Client) -> Self:
        return cls(describe_program(client.user_agent), _network_of(client.address))


def describe_program(user_agent: str | None) -> str:
    """Return the families of the browser and the system, in words of this module only.

    Attackers choose the User-Agent. Repeated in a mail, it could be a text that deceives the
    reader, with a link (phishing).
    """
    text = user_agent or ""
    program = next((name for mark, name in _PROGRAMS if mark in text), "unknown program")
    system = next((name for mark, name in _SYSTEMS if mark in text), "unknown system")
    return f"{program} on {system}"


def describe_address(address: str) -> str:
    """Return the canonical IP address; any other text could have been chosen by the client."""
    try:
        return str(parse_address(address))
    except ValueError:
        return "an unknown address"


def _network_of(address: str) -> str:
    try:
        ip = parse_address(address)
    except ValueError:
        return ""
    if isinstance(ip, IPv4Address):
        return str(IPv4Network((int(ip), _IPV4_PREFIX), strict=False))
    return str(IPv6Network((int(ip), _IPV6_PREFIX), strict=False))
