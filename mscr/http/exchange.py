"""The request that is being handled, for functions that build its response."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response


class Exchange(NamedTuple):
    """A request, and the response that dependencies of its route add headers to."""

    request: Request
    response: Response


_current: Final[ContextVar[Exchange | None]] = ContextVar("exchange", default=None)


@contextmanager
def exchange(request: Request, response: Response) -> Iterator[None]:
    """Make them the current ones in the block."""
    _current.set(Exchange(request, response))
    try:
        yield
    finally:
        # Not the previous ones: a route without a service must never get those of another request.
        _current.set(None)


def current_exchange() -> Exchange:
    """Return the current ones. Raise `LookupError` on a route that has not noted them."""
    current = _current.get()
    if current is None:
        raise LookupError(
            "the route has no service: declare `service_for_caller(...)` or `Responder`"
        )
    return current
