"""Modules that libraries load wherever they find them, for what is not done here."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def hidden(name: str) -> Iterator[None]:
    """Have what is imported within not find a module, unless it is loaded already."""
    if name in sys.modules:
        yield
        return
    # Python's own way to say that there is no such module.
    sys.modules[name] = None  # type: ignore[assignment]  # typed as if there were only modules
    try:
        yield
    finally:
        del sys.modules[name]
