"""Where a request comes from: counted by limits, shown in the list of sessions, audited."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Network
from typing import Final

from app.core.addresses import parse_address

# Longer ones are cut: they are shown to people, and stored for each session.
MAX_ADDRESS_LENGTH: Final = 64
MAX_USER_AGENT_LENGTH: Final = 200
MAX_OPERATION_LENGTH: Final = 100


@dataclass(frozen=True, slots=True)
class Client:
    """The address that the server sees, and what the client says it is."""

    address: str
    user_agent: str | None

    @classmethod
    def of(cls, address: str, user_agent: str | None) -> "Client":
        """With everything cut and cleaned that a client could choose."""
        agent = _printable(_in_utf_8(user_agent or ""))
        return cls(_printable(address)[:MAX_ADDRESS_LENGTH], agent[:MAX_USER_AGENT_LENGTH] or None)


def _in_utf_8(header: str) -> str:
    """The framework reads headers as Latin-1; most clients send UTF-8."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header


def _printable(text: str) -> str:
    printable = text if text.isprintable() else "".join(filter(str.isprintable, text))
    return printable.strip()


# Who may run commands on the machine is not for the application to tell.
COMMAND_LINE: Final = Client("command line", None)


@dataclass(frozen=True, slots=True)
class Origin:
    """What the audit log says of where an event comes from.

    `operation` is the route's operation id, or the command; a command has no request.
    """

    client: Client
    operation: str
    request_id: str | None = None


def customer_of(address: str) -> str:
    """Return what limits count: an IPv4 address, or the /64 network of an IPv6 address.

    A client with one address of such a network has them all, and could take them in turn.
    """
    try:
        ip = parse_address(address)
    except ValueError:
        return address
    return str(ip) if isinstance(ip, IPv4Address) else str(IPv6Network((int(ip), 64), strict=False))
