"""The client of a request: counted by rate limits, shown in the list of sessions, audited."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Network
from typing import Final

from mscr.core.addresses import parse_address

# Longer values are truncated: they are shown to people, and stored for each session.
MAX_ADDRESS_LENGTH: Final = 64
MAX_USER_AGENT_LENGTH: Final = 200
MAX_OPERATION_LENGTH: Final = 100


@dataclass(frozen=True, slots=True)
class Client:
    """The client's address, and its User-Agent header."""

    address: str
    user_agent: str | None

    @classmethod
    def of(cls, address: str, user_agent: str | None) -> "Client":
        """Return a client whose values are truncated and free of control characters."""
        agent = _printable(_in_utf_8(user_agent or ""))
        return cls(_printable(address)[:MAX_ADDRESS_LENGTH], agent[:MAX_USER_AGENT_LENGTH] or None)


def _in_utf_8(header: str) -> str:
    """Decode a header as UTF-8, which most clients send. The framework decodes it as Latin-1."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header


def _printable(text: str) -> str:
    printable = text if text.isprintable() else "".join(filter(str.isprintable, text))
    return printable.strip()


# The application cannot identify the person who runs a command.
COMMAND_LINE: Final = Client("command line", None)


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of an audit event.

    `operation` is the operation id of the route, or the name of the command. A command has no
    request id.
    """

    client: Client
    operation: str
    request_id: str | None = None


def customer_of(address: str) -> str:
    """Return the key that rate limits count by: an IPv4 address, or the /64 of an IPv6 address.

    A client usually controls its whole /64, and could rotate through its addresses.
    """
    try:
        ip = parse_address(address)
    except ValueError:
        return address
    return str(ip) if isinstance(ip, IPv4Address) else str(IPv6Network((int(ip), 64), strict=False))
