"""Bounds on what one connection may send, and on how long it may take."""

from dataclasses import dataclass
from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes, counts and seconds; each answers an attack by one unauthenticated connection."""

    # Open connections of one process: each holds a file descriptor and some 20 KiB.
    connections: int = 1000
    # The request line and all headers, as raw bytes (431), and the target alone (414).
    head_bytes: int = 64 * KIB
    target_bytes: int = 16 * KIB
    headers: int = 100
    # From the first byte of a head to its last: slow loris (408).
    head_seconds: float = 20
    # A body, and a response that waits for its reader, must make progress in each such period,
    # by so many bytes a second on average: below a GPRS link, above a connection that is held.
    body_seconds: float = 30
    write_seconds: float = 60
    bytes_per_second: int = 128
    # Requests that wait behind the one being answered; the connection is closed after them.
    pipelined: int = 16
    # Chunk sizes, extensions and trailers: so much more than the content justifies (400).
    chunk_overhead: int = 16 * KIB
    # A refused body up to this length is read, and the connection kept.
    unwanted_body_bytes: int = 64 * KIB
    # A longer one is read for so long after the response, then the connection is reset: a reset
    # that came at once would discard the response before the client reads it.
    linger_bytes: int = 4 * MIB
    linger_seconds: float = 5
