"""The aliases that routers use: sessions, the caller, and what lives with the application."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Annotated, Any, cast
from uuid import UUID

from fastapi import Depends, FastAPI, Path, Request, Security
from fastapi.routing import iter_route_contexts
from fastapi.security import SecurityScopes
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.anonymous import is_limited_by_address, leave_out
from app.core.bearer import BearerDependency, bearer_token
from app.core.client import MAX_OPERATION_LENGTH, Client, Origin
from app.core.exceptions import (
    MissingPermissionError,
    ReauthenticationRequiredError,
    UnauthorizedError,
)
from app.core.logging import log_user
from app.core.security.jwt import TokenClaims
from app.core.security.permissions import Permission
from app.core.security.principal import Principal
from app.core.state import Collaborators
from app.db.caller import name_caller
from app.db.own_writes import open_read_session
from app.db.session import Database, get_db
from app.models.audit_event import AuditAction
from app.repositories.audit_event_repository import AuditEventRepository
from app.repositories.live_session_repository import LiveSessionRepository
from app.services.audit_event_service import AuditTrail, Parties

# Closed before the response is sent: the client never waits for it, and no 2xx precedes COMMIT.
DbSession = Annotated[AsyncSession, Depends(get_db, scope="function")]

PublicId = Annotated[UUID, Path(description="The resource's public id.")]


# The framework walks a route's whole tree of dependencies in each request, and what two of them
# need once for each. What a dependency of everybody needs of the request, it therefore asks here.
def collaborators_of(request: Request) -> Collaborators:
    return cast("Collaborators", request.app.state.collaborators)


def client_of(request: Request) -> Client:
    """The client; behind a proxy of TRUSTED_PROXIES, its address is the one that is forwarded."""
    known: Client | None = getattr(request.state, "client", None)
    if known is None:
        # Peers on a unix socket have no address.
        address = request.client.host if request.client else "unknown"
        known = Client.of(address, request.headers.get("user-agent"))
        # Whatever writes to the audit log asks, and limits do.
        request.state.client = known
    return known


def origin_of(request: Request) -> Origin:
    """Where the request comes from, and which route it asks, for the audit log."""
    # The framework makes one up for a route that names none.
    operation = request.scope["route"].unique_id[:MAX_OPERATION_LENGTH]
    return Origin(client_of(request), operation, request.state.request_id)


async def get_collaborators(request: Request) -> Collaborators:
    return collaborators_of(request)


async def get_client(request: Request) -> Client:
    return client_of(request)


async def claims_of(request: Request) -> TokenClaims:
    """What a good token says; whether its session still is, nobody is asked.

    Raises `UnauthorizedError`, and `TooManyRequestsError` for an address that asks more often
    without a good token than API_RATE_LIMIT allows.
    """
    collaborators = collaborators_of(request)
    try:
        claims = collaborators.access_tokens.verify_access_token(bearer_token(request))
    except UnauthorizedError:
        await collaborators.requests.count_stranger(client_of(request).address)
        raise
    log_user(claims.sub)
    # And connections are shared with others, wherever the requests come from.
    name_caller(claims.sub)
    return claims


async def count_anonymous(request: Request) -> None:
    """Count the request for its address, on a route that asks for no caller (API_RATE_LIMIT).

    A dependency of every route. Raises `TooManyRequestsError`.
    """
    if _is_limited_by_address(request.app, request.scope["route"]):
        await collaborators_of(request).requests.count_stranger(client_of(request).address)


def _is_limited_by_address(app: FastAPI, route: object) -> bool:
    """Whether to count, found once; where not, the dependency is left out from then on."""
    # By application, as several may include the same route.
    known: dict[int, bool] = app.state.limited_by_address
    if id(route) not in known:
        # A router may be included with dependencies that the route itself does not have.
        contexts = iter_route_contexts(app.routes)
        dependants = [each.dependant for each in contexts if each.original_route is route]
        known[id(route)] = any(map(is_limited_by_address, dependants))
        for each in dependants:
            if not is_limited_by_address(each):
                # Even a dependency that does nothing takes time.
                leave_out(each, count_anonymous)
    return known[id(route)]


@BearerDependency
async def get_token_user(request: Request) -> TokenClaims:
    """The claims, and the request counted for their user as API_RATE_LIMIT says."""
    claims = await claims_of(request)
    await collaborators_of(request).requests.count_user(claims.sub)
    return claims


@BearerDependency
async def get_principal(request: Request) -> Principal:
    """Raises `UnauthorizedError` unless the token is good and its session and user still are.

    The session is looked up for each request, so that logout, deactivation, deletion and a
    change of role or password act on the very next one (ASVS v7.4.1).
    """
    # The framework asks once for each set of scopes that a route's dependencies have.
    known: Principal | None = getattr(request.state, "principal", None)
    if known is not None:
        return known
    claims = await claims_of(request)
    requests = collaborators_of(request).requests
    database: Database = request.app.state.database
    live = await LiveSessionRepository(database.read_engine).find(
        session_id=claims.sid, user_public_id=claims.sub
    )
    if live is None:
        await requests.count_stranger(client_of(request).address)
        raise UnauthorizedError
    # Not before: with the token of a session that was ended, a thief would use up what the owner
    # may ask.
    await requests.count_user(claims.sub)
    principal = Principal(claims, live.user_id, live.account, live.authenticated_at, live.writes)
    request.state.principal = principal
    return principal


async def get_own_read_db(
    request: Request, principal: Annotated[Principal, Depends(get_principal)]
) -> AsyncGenerator[AsyncSession, None]:
    """A session that cannot write, and may read a replica that has all that the caller wrote."""
    async with open_read_session(request.app.state.database, principal) as session:
        yield session


async def get_current_user(principal: Annotated[Principal, Depends(get_principal)]) -> TokenClaims:
    return principal.claims


async def get_current_user_id(principal: Annotated[Principal, Depends(get_principal)]) -> int:
    """The integer key, for queries. It never goes into a response."""
    return principal.user_id


async def _note_refusal(request: Request, caller: Principal, reason: str) -> None:
    """Into the audit log (ASVS v16.3.2), in a transaction of its own."""
    database: Database = request.app.state.database
    origin = origin_of(request)
    async with database.sessions() as session:
        repo = AuditEventRepository(session)
        trail = AuditTrail(repo, origin, requests=collaborators_of(request).requests)
        await trail.refuse(
            AuditAction.ACCESS,
            reason,
            Parties(actor=caller.public_id, session=caller.session_id),
            once_for=f"{caller.public_id} {origin.operation}",
        )


async def get_permitted_principal(
    request: Request,
    required: SecurityScopes,
    principal: Annotated[Principal, Depends(get_principal)],
) -> Principal:
    """For `require_permission`, which names a permission.

    Raises `MissingPermissionError` unless the caller's role has every one of the route.
    """
    if not required.scopes:
        # Whoever forgot to name one did not mean everybody.
        raise TypeError("a route that asks for a permission names none: use require_permission()")
    if not all(principal.may(Permission(scope)) for scope in required.scopes):
        await _note_refusal(request, principal, "permission_missing")
        raise MissingPermissionError(required.scopes)
    return principal


def require_permission(permission: Permission) -> Any:
    """Annotates a `Principal` that has the permission, which OpenAPI shows as a scope.

    Its use: `UserReader = Annotated[Principal, require_permission(Permission.USERS_READ)]`.
    """
    return Security(get_permitted_principal, scopes=[permission.value])


async def get_recent_principal(
    request: Request, principal: Annotated[Principal, Depends(get_principal)]
) -> Principal:
    """Raises `ReauthenticationRequiredError` when the password was proved too long ago."""
    age = datetime.now(UTC) - principal.authenticated_at
    if age > collaborators_of(request).settings.recent_authentication:
        await _note_refusal(request, principal, ReauthenticationRequiredError.code)
        raise ReauthenticationRequiredError
    return principal


ReadDbSession = Annotated[AsyncSession, Depends(get_own_read_db, scope="function")]
# For what is read while the response is sent: closed after it, or when the client is gone. Whoever
# takes it gives the connection back with `release()` whenever something else is waited for.
StreamingReadDbSession = Annotated[AsyncSession, Depends(get_own_read_db, scope="request")]
AppCollaborators = Annotated[Collaborators, Depends(get_collaborators)]
CurrentClient = Annotated[Client, Depends(get_client)]
CurrentPrincipal = Annotated[Principal, Depends(get_principal)]
CurrentUser = Annotated[TokenClaims, Depends(get_current_user)]
CurrentUserId = Annotated[int, Depends(get_current_user_id)]
RecentPrincipal = Annotated[Principal, Depends(get_recent_principal)]
# Costs no query, and does not know of a logout before the token expires: see docs/auth.md.
TokenUser = Annotated[TokenClaims, Depends(get_token_user)]
