"""TCP keepalive: the kernel probes idle connections.

The probes detect dead peers, and keep the other connections in the tables of firewalls.
"""

import socket
from datetime import timedelta
from typing import Final

# Unanswered probes, this many seconds apart, after which the kernel ends the connection.
INTERVAL_SECONDS: Final = 10
PROBES: Final = 3


def keep_alive(connection: socket.socket, *, after: timedelta) -> None:
    """Probe a TCP connection that was idle for `after`. Other sockets are left unchanged."""
    if connection.family in {socket.AF_INET, socket.AF_INET6}:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in keepalive_options(after).items():
            connection.setsockopt(socket.IPPROTO_TCP, option, value)


def keepalive_options(after: timedelta) -> dict[int, int]:
    """Return the TCP options beside SO_KEEPALIVE that this operating system supports."""
    options = {
        "TCP_KEEPIDLE": int(after.total_seconds()),
        "TCP_KEEPINTVL": INTERVAL_SECONDS,
        "TCP_KEEPCNT": PROBES,
    }
    return {getattr(socket, name): n for name, n in options.items() if hasattr(socket, name)}
