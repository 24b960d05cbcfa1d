"""The cookie that carries refresh tokens when REFRESH_TOKEN_TRANSPORT says so."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Final

import structlog
from fastapi import Depends, Request, Response
from fastapi.security import APIKeyCookie
from starlette.requests import HTTPConnection

from app.core.dependencies import AppCollaborators
from app.core.exceptions import InvalidRefreshTokenError, UntrustedOriginError
from app.core.logging import loggable
from app.core.security.cross_origin import ORIGIN, is_trusted_origin, own_origin, sent
from app.schemas.auth_schemas import AccessTokenResponse
from app.services.refresh_token_service import IssuedTokens

log = structlog.get_logger(__name__)

# Browsers take a cookie of this prefix from this very host over TLS only, and for this host alone
# (RFC 6265bis §4.1.3.2): a neighbour under the same domain can neither read it nor put one here.
COOKIE_NAME: Final = "__Host-refresh_token"


class RefreshCookieScheme(APIKeyCookie):
    """Reads the token: empty without the cookie.

    Raises `InvalidRefreshTokenError` for several cookies of the name. No browser has two of them,
    and which one is the user's cannot be told.
    """

    async def __call__(self, request: HTTPConnection) -> str:
        tokens = [value for name, value in _cookies(request) if name == COOKIE_NAME]
        if len(tokens) > 1:
            log.warning("refresh_token_refused", reason="several_cookies")
            raise InvalidRefreshTokenError
        return tokens[0] if tokens else ""


class RefreshCookie:
    """Puts the token into the answer. What raises afterwards sends no cookie."""

    def __init__(self, response: Response, *, in_use: bool) -> None:
        self._response = response
        self._in_use = in_use

    def carry(self, tokens: IssuedTokens) -> AccessTokenResponse:
        """Put the refresh token into the cookie; what is returned is left for the body."""
        self._set(tokens.refresh_token, tokens.session_lifetime)
        return AccessTokenResponse.model_validate(tokens)

    def clear(self) -> None:
        """Have the browser forget the token; nothing happens where tokens are in bodies."""
        if self._in_use:
            self._set("", timedelta())

    def _set(self, token: str, lifetime: timedelta) -> None:
        self._response.set_cookie(
            COOKIE_NAME,
            token,
            max_age=int(lifetime.total_seconds()),
            path="/",
            secure=True,
            httponly=True,
            samesite="strict",
        )


def _cookies(request: HTTPConnection) -> Iterator[tuple[str, str]]:
    """Every cookie that was sent, by its exact name.

    The framework's own reading takes off whatever is white space in Unicode. A neighbour under the
    same domain may set a cookie whose name begins with the byte A0: to the browser, that is none
    with the prefix, and then it would pass for one here.
    """
    for header in request.headers.getlist("cookie"):
        for pair in header.split(";"):
            name, _, value = pair.strip(" \t").partition("=")
            yield name, value


async def get_refresh_cookie(response: Response, collaborators: AppCollaborators) -> RefreshCookie:
    return RefreshCookie(response, in_use=collaborators.settings.refresh_token_in_cookie)


async def require_trusted_origin(request: Request, collaborators: AppCollaborators) -> None:
    """Raises `UntrustedOriginError`, before anything is made of the cookie."""
    if not is_trusted_origin(request, collaborators.settings.CORS_ORIGINS):
        origin, own = sent(request, ORIGIN), own_origin(request)
        log.warning("untrusted_origin", origin=loggable(origin), own=loggable(own))
        raise UntrustedOriginError


_scheme = RefreshCookieScheme(
    name=COOKIE_NAME,
    scheme_name="RefreshCookie",
    description="Browsers send it by themselves; scripts cannot read it.",
)

PresentedToken = Annotated[str, Depends(_scheme)]
Cookie = Annotated[RefreshCookie, Depends(get_refresh_cookie)]
