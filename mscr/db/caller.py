"""The caller on whose behalf the current task takes connections from the pool."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic
from typing import Final

YOUTH: Final = timedelta(milliseconds=50)


@dataclass(slots=True)
class Caller:
    """The caller of one request. Requests with the same `key` share one queue in the pool.

    `require_present` raises the exception that ends a request whose client has disconnected. It
    never waits.
    """

    key: str
    require_present: Callable[[], None]
    has_begun: bool = False
    since: float = field(default_factory=monotonic)

    def read(self) -> None:
        """Begin to read, or end the request if its client has disconnected.

        A request that has begun to write goes on in any case. A young request is not checked: few
        clients leave so soon, and a check costs a fortieth of a fast request.
        """
        if not self.has_begun and monotonic() - self.since > YOUTH.total_seconds():
            self.require_present()

    def write(self) -> None:
        """Begin to write: from now on, a disconnected client does not end the request."""
        self.has_begun = True


# The object is changed in place, so that a key set later reaches every task of the request.
_caller: ContextVar[Caller | None] = ContextVar("caller", default=None)


def current_caller() -> Caller | None:
    """Return the caller of the current request, or None outside of a request."""
    return _caller.get()


@contextmanager
def calling(caller: Caller) -> Iterator[None]:
    """Take connections on behalf of this caller, until the end of the block."""
    token = _caller.set(caller)
    try:
        yield
    finally:
        _caller.reset(token)


def name_caller(key: str) -> None:
    """Count the connections taken from now on for this key. No effect outside of a request."""
    if (caller := _caller.get()) is not None:
        caller.key = key
