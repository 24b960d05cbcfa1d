"""Read attributes and texts of arbitrary exceptions: reading them may raise."""

from typing import Any


def attribute(error: object, name: str, default: Any = None) -> Any:
    """Return an attribute, or `default` if it is missing or reading it raises."""
    try:
        return getattr(error, name, default)
    except Exception:  # noqa: BLE001  # the error being handled matters more than this one
        return default


def first_line(error: object) -> str:
    """Return the first line of an exception's text, or the name of its class if that raises."""
    try:
        return str(error).partition("\n")[0]
    except Exception:  # noqa: BLE001  # as above
        return type(error).__name__
