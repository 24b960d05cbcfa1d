"""How refresh tokens travel: in JSON bodies, or in a cookie that scripts cannot read.

REFRESH_TOKEN_TRANSPORT chooses one of them for an application. With both, a script injected into a
page (XSS) could request tokens in bodies.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, ClassVar

import structlog
from fastapi import Depends, Request, Response
from fastapi.params import Depends as Dependency

from mscr.core.config import Settings
from mscr.core.exceptions import (
    APIError,
    InvalidRefreshTokenError,
    ServiceUnavailableError,
    TooManyRequestsError,
    UntrustedOriginError,
    ValidationFailedError,
)
from mscr.core.logging import loggable
from mscr.core.security.cross_origin import ORIGIN, is_trusted_origin, own_origin, sent
from mscr.core.security.refresh_token import IssuedTokens
from mscr.endpoints.refresh_cookie import REFRESH_COOKIE, set_refresh_cookie
from mscr.endpoints.requests import collaborators_of
from mscr.http.openapi import problem_responses
from mscr.http.responses import SuccessResponse
from mscr.http.routing import Router
from mscr.schemas.auth_schemas import (
    AccessTokenResponse,
    LogoutRequest,
    RefreshRequest,
    TokenResponse,
)

log = structlog.get_logger(__name__)


class RefreshTransport(ABC):
    """The parts of login routes that depend on how the refresh token travels.

    `tokens` is the response of a route that issues tokens; `success` is the same in the envelope.
    `dependencies` and `errors` are those of each route that takes or issues a refresh token.
    `refresh_token` and `logout_token` read it, and raise `unreadable`.
    """

    tokens: ClassVar[type[AccessTokenResponse]]
    success: ClassVar[type[SuccessResponse[Any]]]
    errors: ClassVar[Sequence[type[APIError]]]
    unreadable: ClassVar[type[APIError]]
    refresh_token: ClassVar[Dependency]
    logout_token: ClassVar[Dependency]
    dependencies: Sequence[Dependency]

    def router(self, **options: Any) -> Router:
        """Return a router for routes that take or issue refresh tokens."""
        return Router(
            dependencies=self.dependencies,
            responses=problem_responses(
                *self.errors, TooManyRequestsError, ServiceUnavailableError
            ),
            **options,
        )

    def carry(self, issued: IssuedTokens, response: Response) -> AccessTokenResponse:
        """Return the body, and put the refresh token where the transport carries it."""
        self._store(response, issued.refresh_token, issued.session_lifetime)
        return self.tokens.model_validate(issued)

    def clear(self, response: Response) -> None:
        """Delete the browser's cookie. Clients delete tokens from bodies themselves."""
        self._store(response, "", timedelta())

    @abstractmethod
    def _store(self, response: Response, token: str, lifetime: timedelta) -> None: ...


async def _token_to_refresh(data: RefreshRequest) -> str:
    return data.refresh_token


async def _token_to_end(data: LogoutRequest) -> str:
    return data.refresh_token


class BodyTransport(RefreshTransport):
    """The client stores the token, and sends it as JSON."""

    tokens = TokenResponse
    success = SuccessResponse[TokenResponse]
    errors = ()
    unreadable = ValidationFailedError
    refresh_token = Depends(_token_to_refresh)
    logout_token = Depends(_token_to_end)
    dependencies = ()

    def _store(self, response: Response, token: str, lifetime: timedelta) -> None:
        """Leave the headers as they are: `tokens` includes the refresh token."""


class CookieTransport(RefreshTransport):
    """The browser stores the token, and sends it to this host.

    Pages of other origins are refused before anything else (OWASP Cross-Site Request Forgery
    Prevention). That includes logins: a page that logs its visitors into an account of its own
    would see what they enter there.
    """

    tokens = AccessTokenResponse
    success = SuccessResponse[AccessTokenResponse]
    errors = (UntrustedOriginError,)
    unreadable = InvalidRefreshTokenError
    refresh_token = logout_token = Depends(REFRESH_COOKIE)

    def __init__(self, trusted_origins: Sequence[str]) -> None:
        self._trusted_origins = trusted_origins
        self.dependencies = (Depends(self.require_trusted_origin),)

    async def require_trusted_origin(self, request: Request) -> None:
        """Raise `UntrustedOriginError` for a page of another origin, before the cookie is read."""
        if not is_trusted_origin(request, self._trusted_origins):
            origin, own = sent(request, ORIGIN), own_origin(request)
            log.warning("untrusted_origin", origin=loggable(origin), own=loggable(own))
            raise UntrustedOriginError

    def _store(self, response: Response, token: str, lifetime: timedelta) -> None:
        # If the route raises after this, the cookie is not sent.
        set_refresh_cookie(response, token, lifetime)


def refresh_transport(settings: Settings) -> RefreshTransport:
    """Return the transport of REFRESH_TOKEN_TRANSPORT."""
    if settings.refresh_token_in_cookie:
        return CookieTransport(settings.CORS_ORIGINS)
    return BodyTransport()


async def get_refresh_transport(request: Request) -> RefreshTransport:
    """Return the application's transport, for routes that end sessions."""
    return refresh_transport(collaborators_of(request).settings)


Transport = Annotated[RefreshTransport, Depends(get_refresh_transport)]
