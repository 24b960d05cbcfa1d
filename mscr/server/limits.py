"""Limits on the size and the duration of what one connection sends."""

from dataclasses import dataclass
from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes, counts and seconds. Each limits a denial of service by one anonymous connection."""

    # Open connections of one process. Each uses a file descriptor and some 20 KiB.
    connections: int = 1000
    # Raw bytes of the request line and all headers (431), and of the target alone (414).
    head_bytes: int = 64 * KIB
    target_bytes: int = 16 * KIB
    headers: int = 100
    # From the first byte of a head to its last, against slow loris (408).
    head_seconds: float = 20
    # In each such period, a body, or a response that waits for its reader, must progress by
    # `bytes_per_second` on average: slower than a GPRS link, faster than a slow-body attack.
    body_seconds: float = 30
    write_seconds: float = 60
    bytes_per_second: int = 128
    # Pipelined requests that wait behind the current one. The connection is closed after them.
    pipelined: int = 16
    # Excess bytes of chunk sizes, extensions and trailers over what the content justifies (400).
    chunk_overhead: int = 16 * KIB
    # A refused body up to this length is read, and the connection is kept.
    unwanted_body_bytes: int = 64 * KIB
    # A longer one is read up to these limits after the response, then the connection is reset: an
    # immediate reset would discard the response before the client reads it.
    linger_bytes: int = 4 * MIB
    linger_seconds: float = 5
