"""Dependencies of several routers: services that serve others, and a request's arrival."""

from datetime import datetime
from typing import Annotated, cast

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.dependencies import DbSession, collaborators_of, origin_of
from app.repositories.audit_event_repository import AuditEventRepository
from app.repositories.refresh_token_repository import RefreshTokenRepository
from app.repositories.user_repository import UserRepository
from app.services.audit_event_service import AuditTrail
from app.services.credential_service import CredentialService
from app.services.refresh_token_service import RefreshTokenService


# Called by the dependencies that make services, for the reason that app.core.dependencies tells.
def audit_trail(request: Request, db: AsyncSession) -> AuditTrail:
    requests = collaborators_of(request).requests
    return AuditTrail(AuditEventRepository(db), origin_of(request), requests=requests)


def refresh_token_service(
    request: Request, db: AsyncSession, audit: AuditTrail
) -> RefreshTokenService:
    collaborators = collaborators_of(request)
    return RefreshTokenService(
        RefreshTokenRepository(db),
        audit,
        codec=collaborators.refresh_tokens,
        parallel_uses=collaborators.parallel_uses,
        access_tokens=collaborators.access_tokens,
        requests=collaborators.requests,
        settings=collaborators.settings,
    )


def credential_service(request: Request, db: AsyncSession, audit: AuditTrail) -> CredentialService:
    collaborators = collaborators_of(request)
    return CredentialService(
        UserRepository(db),
        audit,
        passwords=collaborators.passwords,
        policy=collaborators.password_policy,
        attempts=collaborators.attempts,
    )


async def get_audit_trail(request: Request, db: DbSession) -> AuditTrail:
    return audit_trail(request, db)


async def get_arrival_time(request: Request) -> datetime:
    """When the request came in, stamped before anything was awaited."""
    return cast("datetime", request.state.arrived_at)


Audit = Annotated[AuditTrail, Depends(get_audit_trail)]
ArrivalTime = Annotated[datetime, Depends(get_arrival_time)]
