"""Listening sockets, bound before the server starts, for any number of workers."""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import ip_address
from typing import Any, Final

# This machine lacks the address; another address of the same name may work.
_MISSING: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
_DENIED: Final = (errno.EACCES, errno.EPERM)
_ANY_ADDRESS: Final = "0.0.0.0 for every IPv4 address, :: for IPv4 and IPv6"

Address = tuple[socket.AddressFamily, tuple[Any, ...]]


class ListenError(OSError):
    """The address cannot be bound. The message has the reason and the remedy."""

    def __init__(self, detail: str, remedy: str) -> None:
        super().__init__(f"{detail}; {remedy}")
        self.detail = detail
        self.remedy = remedy


def bind_sockets(host: str, port: int) -> list[socket.socket]:
    """Bind one socket for each address of the host. `::` accepts IPv4 connections too.

    Raises `ListenError`, and then leaves no socket bound.
    """
    name = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    missing = None
    with ExitStack() as bound:
        sockets: list[socket.socket] = []
        for family, address in _addresses(name, port):
            # With port 0, the first socket gets a free port; the others use the same one.
            chosen = sockets[0].getsockname()[1] if sockets else port
            try:
                listener = _bind(family, (address[0], chosen, *address[2:]))
            except OSError as error:
                if error.errno not in _MISSING:
                    raise _listen_error(error, host, chosen) from error
                missing = error
            else:
                sockets.append(bound.enter_context(listener))
        if missing is not None and not sockets:
            raise _listen_error(missing, host, port) from missing
        bound.pop_all()
    return sockets


def urls_of(sockets: list[socket.socket]) -> list[str]:
    """Return `http://address:port` for each socket."""
    names = [each.getsockname() for each in sockets]
    return [
        f"http://[{name[0]}]:{name[1]}" if ":" in name[0] else f"http://{name[0]}:{name[1]}"
        for name in names
    ]


def _addresses(host: str, port: int) -> Iterator[Address]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, ValueError) as error:
        detail = f"the host to listen on, {host!r}, is neither an address nor a known name"
        raise ListenError(
            detail, f"set HOST to an address of this machine: {_ANY_ADDRESS}"
        ) from error
    yield from dict.fromkeys((family, address) for family, _, _, _, address in found)


def _bind(family: socket.AddressFamily, address: tuple[Any, ...]) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Ignore lingering connections of a previous server. On Windows, the option would allow
        # two servers on one port.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, os.name == "posix")
        if family == socket.AF_INET6:
            # Always set: the default differs between systems and servers.
            both = ip_address(address[0]).is_unspecified
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not both)
        bound.bind(address)
    except BaseException:
        bound.close()
        raise
    # Worker processes inherit the socket.
    bound.set_inheritable(True)
    return bound


def _listen_error(error: OSError, host: str, port: int) -> ListenError:
    place = f"port {port} of {host}"
    if error.errno == errno.EADDRINUSE:
        other = port % 65_535 + 1
        detail, remedy = f"{place} is taken by another program", f"choose another: PORT={other}"
    elif error.errno == errno.EADDRNOTAVAIL:
        detail = f"no network interface of this machine has the address {host}"
        remedy = f"set HOST to one of its addresses: {_ANY_ADDRESS}"
    elif error.errno == errno.EAFNOSUPPORT:
        detail, remedy = f"this machine has no IPv6 for {place}", "set HOST=0.0.0.0"
    elif error.errno in _DENIED:
        detail = f"this user may not listen on {place}"
        remedy = "choose a port above 1023, such as PORT=8000, behind a proxy"
    else:
        detail, remedy = f"cannot listen on {place}: {error.strerror}", "check HOST and PORT"
    return ListenError(detail, remedy)
