"""On whose behalf it is that a connection is asked for."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class Caller:
    """The caller of one request. `key` is the same for all requests that have to share.

    `require_present` raises whatever ends a request whose client is gone, as far as it can tell
    without waiting.
    """

    key: str
    require_present: Callable[[], None]
    has_begun: bool = False

    def read(self) -> None:
        """Begin to read, unless nobody is there to get it; what has begun to write goes on."""
        if not self.has_begun:
            self.require_present()

    def write(self) -> None:
        """Begin what is not to be left half done."""
        self.has_begun = True


# An object that is changed in place: so the key that is known later reaches every task.
_caller: ContextVar[Caller | None] = ContextVar("caller", default=None)


def current_caller() -> Caller | None:
    """None for what no request asks for."""
    return _caller.get()


@contextmanager
def calling(caller: Caller) -> Iterator[None]:
    """Ask on behalf of this one for as long as it lasts."""
    token = _caller.set(caller)
    try:
        yield
    finally:
        _caller.reset(token)


def name_caller(key: str) -> None:
    """Have what is asked for from here on count for this key, where somebody is calling."""
    if (caller := _caller.get()) is not None:
        caller.key = key
