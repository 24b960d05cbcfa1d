"""The aliases that routers use: sessions, the caller, and what lives with the application."""

from datetime import UTC, datetime
from typing import Annotated, cast
from uuid import UUID

from fastapi import Depends, Path, Request
from fastapi.security import OAuth2PasswordBearer
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.client import Client
from app.core.exceptions import ForbiddenError, ReauthenticationRequiredError, UnauthorizedError
from app.core.security.jwt import TokenClaims
from app.core.security.principal import Principal
from app.core.state import Collaborators
from app.db.session import Database, get_db, get_read_db
from app.repositories.refresh_token_repository import RefreshTokenRepository

LOGIN_PATH = "/api/v1/auth/login"

# Closed before the response is sent: the client never waits for it, and no 2xx precedes COMMIT.
DbSession = Annotated[AsyncSession, Depends(get_db, scope="function")]
ReadDbSession = Annotated[AsyncSession, Depends(get_read_db, scope="function")]

PublicId = Annotated[UUID, Path(description="The resource's public id.")]

_bearer = OAuth2PasswordBearer(tokenUrl=LOGIN_PATH, refreshUrl=None, auto_error=False)


async def get_collaborators(request: Request) -> Collaborators:
    return cast("Collaborators", request.app.state.collaborators)


async def get_client(request: Request) -> Client:
    """The client; behind a proxy of TRUSTED_PROXIES, its address is the one that is forwarded."""
    address = request.client.host if request.client else "unknown"
    return Client.of(address, request.headers.get("user-agent"))


async def get_principal(
    request: Request,
    collaborators: Annotated[Collaborators, Depends(get_collaborators)],
    token: Annotated[str | None, Depends(_bearer)],
) -> Principal:
    """Raises `UnauthorizedError` unless the token is good and its session and user still are.

    The session is looked up for each request, so that logout, deactivation, deletion and a
    change of role or password act on the very next one (ASVS v7.4.1).
    """
    if token is None:
        raise UnauthorizedError
    claims = collaborators.access_tokens.verify_access_token(token)
    database: Database = request.app.state.database
    # A session of its own, closed here: the route's own one must not be a second connection held.
    async with database.read_sessions() as session:
        live = await RefreshTokenRepository(session).find_live_session(
            session_id=claims.sid, user_public_id=claims.sub
        )
    if live is None:
        raise UnauthorizedError
    return Principal(claims, live.user_id, live.role, live.authenticated_at)


async def get_current_user(principal: Annotated[Principal, Depends(get_principal)]) -> TokenClaims:
    return principal.claims


async def get_current_user_id(principal: Annotated[Principal, Depends(get_principal)]) -> int:
    """The integer key, for queries. It never goes into a response."""
    return principal.user_id


async def get_current_admin(principal: Annotated[Principal, Depends(get_principal)]) -> Principal:
    """Raises `ForbiddenError` for everybody but administrators."""
    if not principal.is_admin:
        raise ForbiddenError
    return principal


async def get_recent_principal(
    principal: Annotated[Principal, Depends(get_principal)],
    collaborators: Annotated[Collaborators, Depends(get_collaborators)],
) -> Principal:
    """Raises `ReauthenticationRequiredError` when the password was proved too long ago."""
    age = datetime.now(UTC) - principal.authenticated_at
    if age > collaborators.settings.recent_authentication:
        raise ReauthenticationRequiredError
    return principal


AppCollaborators = Annotated[Collaborators, Depends(get_collaborators)]
CurrentClient = Annotated[Client, Depends(get_client)]
CurrentPrincipal = Annotated[Principal, Depends(get_principal)]
CurrentUser = Annotated[TokenClaims, Depends(get_current_user)]
CurrentUserId = Annotated[int, Depends(get_current_user_id)]
RecentPrincipal = Annotated[Principal, Depends(get_recent_principal)]
CurrentAdmin = Annotated[Principal, Depends(get_current_admin)]
