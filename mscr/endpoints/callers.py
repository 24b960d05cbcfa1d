"""The caller of a request: its access token, and the look-up of the session."""

from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from mscr.core.exceptions import EmailNotVerifiedError, UnauthorizedError
from mscr.core.logging import log_user
from mscr.core.security.jwt import TokenClaims
from mscr.core.security.principal import Principal
from mscr.db.caller import name_caller
from mscr.endpoints.requests import client_of, collaborators_of
from mscr.http.bearer import (
    BearerDependency,
    OptionalBearerDependency,
    bearer_token,
    has_credentials,
)
from mscr.repositories.live_session_repository import LiveSessionRepository

if TYPE_CHECKING:
    from mscr.core.security.access_control import AccessControl
    from mscr.db.session import Database


async def claims_of(request: Request) -> TokenClaims:
    """Return the claims of a valid access token, without looking up its session.

    Raises `UnauthorizedError`, and `TooManyRequestsError` for an address that sends more requests
    without a valid token than API_RATE_LIMIT allows.
    """
    collaborators = collaborators_of(request)
    try:
        claims = collaborators.access_tokens.verify_access_token(bearer_token(request))
    except UnauthorizedError:
        await collaborators.requests.count_anonymous(client_of(request).address)
        raise
    log_user(claims.sub)
    # From now on, the pool shares connections fairly by user instead of by address.
    name_caller(claims.sub)
    return claims


@BearerDependency
async def get_token_user(request: Request) -> TokenClaims:
    """Count the request against its user (API_RATE_LIMIT), and return the claims."""
    claims = await claims_of(request)
    await collaborators_of(request).requests.count_user(claims.sub)
    return claims


@BearerDependency
async def get_principal(request: Request) -> Principal:
    """Return the caller. Raises `UnauthorizedError` for an invalid token or an ended session.

    The session is looked up for each request, so that logout, deactivation, deletion and a
    change of role or password act on the very next one (ASVS v7.4.1). Raises
    `EmailNotVerifiedError` for an operation that requires a verified address.
    """
    # FastAPI calls this once for each set of scopes among a route's dependencies.
    known: Principal | None = getattr(request.state, "principal", None)
    if known is not None:
        return known
    claims = await claims_of(request)
    requests = collaborators_of(request).requests
    access: AccessControl = request.app.state.access
    database: Database = request.app.state.database
    live = await LiveSessionRepository(database.read_engine, database.tables).find(
        session_id=claims.sid, user_public_id=claims.sub
    )
    if live is None:
        await requests.count_anonymous(client_of(request).address)
        raise UnauthorizedError
    # Count only live sessions: otherwise a thief could use up the user's quota with the token of
    # an ended session.
    await requests.count_user(claims.sub)
    principal = Principal(
        claims,
        live.user_id,
        live.account,
        live.authenticated_at,
        access.policy,
        live.replica_count,
    )
    operation = request.scope["route"].unique_id
    if not (principal.is_verified or access.admits_unverified(operation)):
        raise EmailNotVerifiedError
    request.state.principal = principal
    return principal


@OptionalBearerDependency
async def get_optional_principal(request: Request) -> Principal | None:
    """Return the caller, or None for a request without credentials.

    Raises `UnauthorizedError` for credentials that are not valid.
    """
    if has_credentials(request):
        # An expired token must not become an anonymous request: the client would get the public
        # view with a 200, instead of the 401 on which it refreshes its token.
        return await get_principal(request)
    await collaborators_of(request).requests.count_anonymous(client_of(request).address)
    return None


async def get_current_user(principal: Annotated[Principal, Depends(get_principal)]) -> TokenClaims:
    return principal.claims


async def get_current_user_id(principal: Annotated[Principal, Depends(get_principal)]) -> int:
    """Return the caller's integer key, for queries. It must never go into a response."""
    return principal.user_id


CurrentPrincipal = Annotated[Principal, Depends(get_principal)]
OptionalPrincipal = Annotated[Principal | None, Depends(get_optional_principal)]
CurrentUser = Annotated[TokenClaims, Depends(get_current_user)]
CurrentUserId = Annotated[int, Depends(get_current_user_id)]
# Costs no query, but accepts a token after logout until the token expires: see docs/auth.md.
TokenUser = Annotated[TokenClaims, Depends(get_token_user)]
