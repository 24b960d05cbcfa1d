"""The framing and the target of a request, from its head (RFC 9112 §3 and §6).

Ambiguous framing allows request smuggling: it is refused.
"""

import re
from functools import lru_cache
from http import HTTPStatus
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from mscr.server.refusal import Headers, Refused

VERSIONS: Final = ("1.1", "1.0")
# uri-host and port (RFC 3986 §3.2): a Host of another form is malformed, not unknown.
HOST: Final = re.compile(rb"(?:[\w.~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\])(?::\d*)?")


class Framing(NamedTuple):
    content_length: int = 0
    is_chunked: bool = False

    def as_head(self) -> bytes:
        """Return a head with this framing, for a parser that reads only the body."""
        if self.is_chunked:
            return b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"
        return b"POST / HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % self.content_length


NO_BODY: Final = Framing()


@lru_cache(maxsize=64)
def is_host(value: bytes) -> bool:
    return HOST.fullmatch(value.strip()) is not None


def read_framing(headers: Headers, version: str) -> Framing:
    """Return the framing. Raise `Refused` for a head that other servers could read differently."""
    if version not in VERSIONS:
        raise Refused(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
    # `list.count` runs in C: this code runs for each request.
    names = [name for name, _ in headers]
    hosts = names.count(b"host")
    if hosts != 1 and (hosts or version == "1.1"):
        raise Refused(HTTPStatus.BAD_REQUEST)
    if hosts and not is_host(headers[names.index(b"host")][1]):
        raise Refused(HTTPStatus.BAD_REQUEST)
    if b"transfer-encoding" in names:
        _check_coding(headers[names.index(b"transfer-encoding")][1], version)
        return Framing(is_chunked=True)
    if b"content-length" in names:
        length = int(headers[names.index(b"content-length")][1])
        return Framing(length) if length else NO_BODY
    return NO_BODY


def _check_coding(value: bytes, version: str) -> None:
    if version == "1.0":
        # HTTP/1.0 has no codings, so a proxy may have found another end (RFC 9112 §6.1).
        raise Refused(HTTPStatus.BAD_REQUEST)
    if value.strip().lower() != b"chunked":
        raise Refused(HTTPStatus.NOT_IMPLEMENTED)


def origin_form(target: bytes, headers: Headers) -> bytes:
    """Return path and query of an absolute target, and replace the Host header by its authority.

    Raises `Refused` for any other target, such as the authority form of CONNECT.
    """
    try:
        url = urlsplit(target.decode("ascii"))
    except ValueError:
        raise Refused(HTTPStatus.BAD_REQUEST) from None
    host = url.netloc.encode()
    if url.scheme not in {"http", "https"} or not host or not is_host(host):
        raise Refused(HTTPStatus.BAD_REQUEST)
    headers[:] = [h for h in headers if h[0] != b"host"]
    headers.append((b"host", host))
    path = url.path or "/"
    return (f"{path}?{url.query}" if url.query else path).encode()
