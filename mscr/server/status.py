"""The server's status (draining or not), for the application to read."""

from dataclasses import dataclass
from typing import Any, Final

# The key of the status in the lifespan's state, which each request's scope shares.
STATE_KEY: Final = "server_status"


@dataclass(slots=True)
class ServerStatus:
    is_draining: bool = False


def find_status(scope: Any) -> ServerStatus | None:
    """Return the status of the server behind an ASGI scope; null under any other server."""
    status = (scope.get("state") or {}).get(STATE_KEY)
    return status if isinstance(status, ServerStatus) else None
