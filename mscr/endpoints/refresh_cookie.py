"""The cookie that carries refresh tokens if REFRESH_TOKEN_TRANSPORT is `cookie`."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

import structlog
from fastapi import Response
from fastapi.security import APIKeyCookie
from starlette.requests import HTTPConnection

from mscr.core.exceptions import InvalidRefreshTokenError

log = structlog.get_logger(__name__)

# Browsers accept a cookie with this prefix only over TLS, and only from and for this very host (RFC
# 6265bis §4.1.3.2). A neighbour under the same domain can neither read it nor plant one here.
COOKIE_NAME: Final = "__Host-refresh_token"


class RefreshCookieScheme(APIKeyCookie):
    """Read the refresh token from the cookie; an empty string if there is none.

    Raises `InvalidRefreshTokenError` for several cookies of the name. No browser has two of them,
    and there is no way to find out which one is the user's.
    """

    async def __call__(self, request: HTTPConnection) -> str:
        tokens = [value for name, value in _cookies(request) if name == COOKIE_NAME]
        if len(tokens) > 1:
            log.warning("refresh_token_refused", reason="several_cookies")
            raise InvalidRefreshTokenError
        return tokens[0] if tokens else ""


def _cookies(request: HTTPConnection) -> Iterator[tuple[str, str]]:
    """Yield every cookie that was sent, by its exact name.

    The framework's parser strips all white space of Unicode. A neighbour under the same domain may
    set a cookie whose name begins with the byte A0: the browser does not see the prefix, and after
    stripping, the cookie would pass for ours.
    """
    for header in request.headers.getlist("cookie"):
        for pair in header.split(";"):
            name, _, value = pair.strip(" \t").partition("=")
            yield name, value


def set_refresh_cookie(response: Response, token: str, lifetime: timedelta) -> None:
    response.set_cookie(
        COOKIE_NAME,
        token,
        max_age=int(lifetime.total_seconds()),
        path="/",
        secure=True,
        httponly=True,
        samesite="strict",
    )


REFRESH_COOKIE: Final = RefreshCookieScheme(
    name=COOKIE_NAME,
    scheme_name="RefreshCookie",
    description="Browsers send it automatically; scripts cannot read it.",
)
