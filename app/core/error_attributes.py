"""Read what an exception says, whatever it is: properties and texts of exceptions may raise."""

from typing import Any


def attribute(error: object, name: str, default: Any = None) -> Any:
    """Return an attribute; `default` where there is none, or reading it raises."""
    try:
        return getattr(error, name, default)
    except Exception:  # noqa: BLE001  # whatever it is, an answer is due for the first error
        return default


def first_line(error: object) -> str:
    """Return the first line of an exception's text; the name of its class if that raises."""
    try:
        return str(error).partition("\n")[0]
    except Exception:  # noqa: BLE001  # as above
        return type(error).__name__
