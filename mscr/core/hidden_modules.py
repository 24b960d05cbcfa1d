"""Hide optional modules from libraries that would import them for features not used here."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def hidden(name: str) -> Iterator[None]:
    """Make imports of a module fail within the block, unless it is already loaded."""
    if name in sys.modules:
        yield
        return
    # For Python, None marks a module as missing.
    sys.modules[name] = None  # type: ignore[assignment]  # typed for modules only
    try:
        yield
    finally:
        del sys.modules[name]
