"""The origin of a request, checked to prevent cross-site request forgery (CSRF)."""

from collections.abc import Collection
from typing import Final

from starlette.requests import HTTPConnection

from mscr.core.hosts import Host

# Set by the browser. Scripts cannot set these forbidden headers (Fetch, Fetch Metadata).
ORIGIN: Final = "origin"
FETCH_SITE: Final = "sec-fetch-site"


def is_trusted_origin(request: HTTPConnection, listed: Collection[str]) -> bool:
    """Whether the request comes from a page of this server, or of one of the listed origins.

    Origins are compared as whole strings, as browsers write them: parsing could be ambiguous.
    `same-site` is not enough, as anybody may own a sibling domain. Nor is `none`, which browsers
    send for a typed address: the routes that are checked here are never called that way. A
    request with neither header is refused: every browser sends one, and other clients can.
    """
    origin, site = sent(request, ORIGIN), sent(request, FETCH_SITE)
    if not origin:
        return site == "same-origin"
    if origin in listed:
        return True
    return origin == own_origin(request) and site in {"", "same-origin"}


def sent(request: HTTPConnection, name: str) -> str:
    """Return the header. Repeated ones are joined (RFC 9110 §5.3), and then match no origin."""
    return ", ".join(request.headers.getlist(name))


def own_origin(request: HTTPConnection) -> str:
    """Return this server's origin in the request, as a browser writes it.

    The scheme comes from the proxy, if the proxy is trusted. A proxy may also add the default port
    to the host, which a browser leaves out of an origin.
    """
    scheme, text = request.scope["scheme"], request.headers.get("host", "")
    host = Host.parse(text)
    return host.origin(scheme) if host else f"{scheme}://{text}"
