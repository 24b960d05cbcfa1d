"""Which page sent a request: what keeps other sites from using a visitor's cookie (CSRF)."""

from collections.abc import Collection
from typing import Final

from starlette.requests import HTTPConnection

from app.core.hosts import Host

# Set by the browser, and by no script: the names are forbidden to them (Fetch, Fetch Metadata).
ORIGIN: Final = "origin"
FETCH_SITE: Final = "sec-fetch-site"


def is_trusted_origin(request: HTTPConnection, listed: Collection[str]) -> bool:
    """Whether the request comes from a page of this server, or of one of the listed origins.

    Texts are compared whole, as browsers write them: nothing is parsed that could be read in two
    ways. `same-site` is not enough, as a neighbour under the same domain may be anybody's; nor is
    `none`, which a typed address has: that makes no request of the kind that this is asked for.
    Whoever says nothing is refused: every browser says something, and another client can.
    """
    origin, site = sent(request, ORIGIN), sent(request, FETCH_SITE)
    if not origin:
        return site == "same-origin"
    if origin in listed:
        return True
    return origin == own_origin(request) and site in {"", "same-origin"}


def sent(request: HTTPConnection, name: str) -> str:
    """The header, of which several make one text (RFC 9110 §5.3) that equals nothing here."""
    return ", ".join(request.headers.getlist(name))


def own_origin(request: HTTPConnection) -> str:
    """Return the origin that the caller asked, as a browser writes it.

    The scheme comes from the proxy, if the proxy is trusted. A proxy may also add the default port
    to the host, which a browser leaves out of an origin.
    """
    scheme, text = request.scope["scheme"], request.headers.get("host", "")
    host = Host.parse(text)
    return host.origin(scheme) if host else f"{scheme}://{text}"
