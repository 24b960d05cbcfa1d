"""Whether this server is about to stop, for the application to read."""

from dataclasses import dataclass
from typing import Any, Final

# The key in the state of the lifespan, and so of each request, under which the server puts it.
STATE_KEY: Final = "server_status"


@dataclass(slots=True)
class ServerStatus:
    is_draining: bool = False


def find_status(scope: Any) -> ServerStatus | None:
    """Return the status of the server behind an ASGI scope; null under any other server."""
    status = (scope.get("state") or {}).get(STATE_KEY)
    return status if isinstance(status, ServerStatus) else None
