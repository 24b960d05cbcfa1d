"""The backlog of a listening socket at shutdown: queued connections are still accepted."""

import select
import socket
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress
from ctypes import addressof, create_string_buffer
from typing import Final

SO_ATTACH_FILTER: Final = 26
# Classic BPF on the TCP header: drop a SYN without ACK, pass everything else. Instructions are
# (code, jump if true, jump if false, operand).
_FLAGS_OFFSET: Final = 13
_SYN: Final = 0x02
_ACK: Final = 0x10
_DROP_NEW: Final = (
    (0x30, 0, 0, _FLAGS_OFFSET),  # load the byte of flags
    (0x54, 0, 0, _SYN | _ACK),  # mask it
    (0x15, 0, 1, _SYN),  # SYN alone?
    (0x06, 0, 0, 0),  # drop
    (0x06, 0, 0, 0xFFFFFFFF),  # pass
)


def refuse_new(sockets: Sequence[socket.socket]) -> None:
    """Make the kernel ignore new connections, for all processes that share the sockets.

    Closing a listening socket resets the connections in its backlog. Ignored clients retry after
    a second, and find the port closed or the next server on it. Linux only.
    """
    if not sys.platform.startswith("linux"):
        return
    instructions = create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in _DROP_NEW))
    program = struct.pack("HP", len(_DROP_NEW), addressof(instructions))
    for listener in sockets:
        if listener.family == socket.AF_UNIX:
            continue
        # A sandbox may forbid it. Then connections of the last instant are reset.
        with suppress(OSError):
            listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)


def is_waiting(sockets: Sequence[socket.socket]) -> bool:
    """Whether the backlog has a connection."""
    ready, _, _ = select.select(sockets, [], [], 0)
    return bool(ready)
