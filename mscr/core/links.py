"""`Link` headers (RFC 8288): where the other pages of a list are.

The targets are references like `?page=2`, relative to the URL that the client asked for. That one
alone is sure to reach the application again: behind proxies it has another scheme, host and path
than the application sees.
"""

from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Any, Final
from urllib.parse import urlencode

# Proxies refuse answers whose headers are larger than a few kilobytes, and a search can be long.
MAX_LINKS_LENGTH: Final = 4096

Links = dict[str, str]

# What the request's answer will have. Changed in place, so that it reaches the middleware even
# from a task that was started in between.
_announced: ContextVar[Links | None] = ContextVar("announced_links", default=None)


def collect_links() -> Links:
    """Begin a request: what is announced during it arrives in the dictionary that this returns."""
    links: Links = {}
    _announced.set(links)
    return links


def announce_links(links: Mapping[str, str]) -> None:
    """Have the answer to this request say where these relations (`next`, ...) lead to."""
    announced = _announced.get()
    if announced is not None:
        announced.update(links)


def link_header(links: Mapping[str, str]) -> str:
    """The header's value. The first of them is always in it, the others as long as it is short."""
    return ", ".join(_short_enough(links))


def _short_enough(links: Mapping[str, str]) -> Iterator[str]:
    length = 0
    for relation, target in links.items():
        link = f'<{target}>; rel="{relation}"'
        length += len(link)
        if length <= MAX_LINKS_LENGTH or length == len(link):
            yield link


def query_reference(parameters: Mapping[str, Any], **changed: Any) -> str:
    """A reference to the same path with these parameters of its query."""
    texts = {name: _as_text(value) for name, value in {**parameters, **changed}.items()}
    return f"?{urlencode(texts, doseq=True)}"


def _as_text(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value
