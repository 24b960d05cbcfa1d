"""`Link` headers (RFC 8288) to the other pages of a list.

The targets are references like `?page=2`, relative to the URL of the request. Only that URL is
sure to reach the application: behind proxies, its scheme, host and path differ from those that the
application sees.
"""

from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Any, Final
from urllib.parse import urlencode

# Proxies refuse responses whose headers exceed a few kilobytes, and a search can be long.
MAX_LINKS_LENGTH: Final = 4096

Links = dict[str, str]

# The links of the current response. Mutated in place, so that the middleware sees links that were
# announced in another task.
_announced: ContextVar[Links | None] = ContextVar("announced_links", default=None)


def collect_links() -> Links:
    """Begin a request. Return the dictionary that collects the links announced during it."""
    links: Links = {}
    _announced.set(links)
    return links


def announce_links(links: Mapping[str, str]) -> None:
    """Add links to the response to this request; `links` maps relations (`next`) to targets."""
    announced = _announced.get()
    if announced is not None:
        announced.update(links)


def link_header(links: Mapping[str, str]) -> str:
    """Return the header's value: the first link, and others up to MAX_LINKS_LENGTH."""
    return ", ".join(_short_enough(links))


def _short_enough(links: Mapping[str, str]) -> Iterator[str]:
    length = 0
    for relation, target in links.items():
        link = f'<{target}>; rel="{relation}"'
        length += len(link)
        if length <= MAX_LINKS_LENGTH or length == len(link):
            yield link


def query_reference(parameters: Mapping[str, Any], **changed: Any) -> str:
    """Return a reference to the same path with these query parameters."""
    texts = {name: _as_text(value) for name, value in {**parameters, **changed}.items()}
    return f"?{urlencode(texts, doseq=True)}"


def _as_text(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value
