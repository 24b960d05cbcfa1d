"""Cross-origin access: the CORS protocol of the Fetch standard."""

from collections.abc import Callable, Collection
from functools import partial
from typing import Final

import structlog
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mscr.core.exceptions import BadRequestError
from mscr.core.logging import loggable

_METHOD: Final = "access-control-request-method"
_HEADERS: Final = "access-control-request-headers"
# Reasons to refuse a preflight, each with the setting that allows it; methods have none.
_SETTINGS: Final = {"origin": "CORS_ORIGINS", "headers": "CORS_ALLOWED_HEADERS"}
_MAX_LOGGED: Final = 200

log = structlog.get_logger(__name__)


class PreflightRefusedError(BadRequestError):
    """A preflight for an origin, a method or a header that is not allowed."""

    code = "preflight_refused"
    title = "Preflight refused"

    def __init__(self, response: Response) -> None:
        self.refused = bytes(response.body).decode().removeprefix("Disallowed CORS ")
        headers = {
            name: value
            for name, value in response.headers.items()
            if name.startswith("access-control-") or name == "vary"
        }
        super().__init__(
            f"Not allowed from a page of another origin: {self.refused}.", headers=headers
        )


class CrossOriginPolicy:
    """Add the CORS headers to every response, also of middleware, and respond to preflights.

    It is not a middleware of its own. Outside the others, its preflights would have no request id,
    no security headers and no line in the access log. Inside, a page could not read a 413.
    """

    def __init__(
        self,
        origins: Collection[str],
        *,
        credentials: bool,
        allow_headers: Collection[str],
        expose_headers: Collection[str],
        methods: Callable[[], Collection[str]],
    ) -> None:
        """`methods` is called for each preflight, as routes may be added at any time."""
        self._methods: Final = methods
        self._middleware = partial(
            CORSMiddleware,
            _no_app,
            allow_origins=origins,
            allow_credentials=credentials,
            allow_headers=allow_headers,
            expose_headers=expose_headers,
        )
        self._simple: Final = self._middleware()

    def sending(self, send: Send, headers: Headers) -> Send:
        """Wrap `send`, so that it adds the headers of a response to a request with `headers`."""
        return partial(self._simple.send, send=send, request_headers=headers)

    def preflight(self, scope: Scope, headers: Headers) -> Response | None:
        """Return the response to a preflight, or None for any other request.

        Raises `PreflightRefusedError`.
        """
        if scope["method"] != "OPTIONS" or "origin" not in headers or _METHOD not in headers:
            return None
        middleware = self._middleware(allow_methods=sorted(self._methods()))
        response = middleware.preflight_response(headers)
        if response.status_code >= BadRequestError.status:
            error = PreflightRefusedError(response)
            _log(error, headers)
            raise error
        return response


def _log(error: PreflightRefusedError, headers: Headers) -> None:
    """Log the requested origin and headers: a browser shows only that the preflight failed."""
    log.warning(
        "preflight_refused",
        refused=error.refused,
        settings=[_SETTINGS[each] for each in error.refused.split(", ") if each in _SETTINGS],
        origin=loggable(headers["origin"][:_MAX_LOGGED]),
        headers=loggable(headers.get(_HEADERS, "")[:_MAX_LOGGED]),
    )


async def _no_app(_: Scope, __: Receive, ___: Send) -> None:
    """Never called: the policy uses the middleware's methods alone."""
