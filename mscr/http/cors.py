"""Cross-origin access: the CORS protocol of the Fetch standard."""

from collections.abc import Callable, Collection
from functools import partial
from typing import Final

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.core.exceptions import BadRequestError

_METHOD: Final = "access-control-request-method"


class PreflightRefusedError(BadRequestError):
    """A preflight that asks for an origin, a method or a header that is not allowed."""

    code = "preflight_refused"
    title = "Preflight refused"

    def __init__(self, response: Response) -> None:
        refused = bytes(response.body).decode().removeprefix("Disallowed CORS ")
        headers = {
            name: value
            for name, value in response.headers.items()
            if name.startswith("access-control-") or name == "vary"
        }
        super().__init__(f"Not allowed from a page of another origin: {refused}.", headers=headers)


class CrossOriginPolicy:
    """Adds the headers to every response, those of middleware included, and answers preflights.

    It is not a middleware of its own: outside of the others, its preflights would have no request
    id, no security headers and no line in the access log; inside, a page could not read a 413.
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
        """Return `send` with the headers for a response to a request with these headers."""
        return partial(self._simple.send, send=send, request_headers=headers)

    def preflight(self, scope: Scope, headers: Headers) -> Response | None:
        """Answer a preflight, or return None for another request.

        Raises `PreflightRefusedError`.
        """
        if scope["method"] != "OPTIONS" or "origin" not in headers or _METHOD not in headers:
            return None
        middleware = self._middleware(allow_methods=sorted(self._methods()))
        response = middleware.preflight_response(headers)
        if response.status_code >= BadRequestError.status:
            raise PreflightRefusedError(response)
        return response


async def _no_app(_: Scope, __: Receive, ___: Send) -> None:
    """Never called: the policy uses the middleware's methods alone."""
