"""Retry a request whose transaction was lost to a schema change or an ended database session.

PostgreSQL refuses a cached plan whose result type has changed. Outside a transaction, the
connection prepares the statement again. Inside one, the transaction is lost, and only the whole
request can be retried, if nothing was committed yet. The same holds for a session that the server
ended, for a restart for example, before it got the statement.
"""

from collections.abc import Callable, Coroutine, MutableMapping
from typing import TYPE_CHECKING, Any, Final

import structlog
from sqlalchemy.exc import DBAPIError
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from mscr.db.database_errors import is_outdated
from mscr.db.session_info import COMMITTED

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

log = structlog.get_logger(__name__)

# FastAPI's exit stack of dependencies that end before the response is sent, such as the session.
_STACK: Final = "fastapi_function_astack"


def note_session(request: HTTPConnection, info: MutableMapping[Any, Any]) -> None:
    """Let `COMMITTED` in the session's `info` decide whether the request can be retried."""
    request.state.session_info = info


def with_second_try(handle: Handler) -> Handler:
    """Wrap the handler of a route."""

    async def handle_or_repeat(request: Request) -> Response:
        try:
            return await handle(request)
        except DBAPIError as error:
            if not is_outdated(error) or not _is_repeatable(request):
                raise
        log.warning("request_handled_again")
        stack: AsyncExitStack = request.scope[_STACK]
        # Rolls back, and returns the connection.
        await stack.aclose()
        return await handle(request)

    return handle_or_repeat


def _is_repeatable(request: Request) -> bool:
    return not getattr(request.state, "session_info", {}).get(COMMITTED)
