"""What is done with a login whichever way its refresh token goes.

The other routes of this prefix are in `body_transport` and `cookie_transport`, and for another way
to register in `mail_registration`.
"""

from typing import Annotated

from fastapi import Depends, Request

from app.core.anonymous import unlimited
from app.core.dependencies import CurrentClient, CurrentPrincipal, DbSession, collaborators_of
from app.core.exceptions import (
    ServiceUnavailableError,
    TooManyRequestsError,
    UnauthorizedError,
    ValidationFailedError,
    WrongPasswordError,
)
from app.core.openapi import problem_responses
from app.core.routing import Router
from app.repositories.user_repository import UserRepository
from app.routers.dependencies import audit_trail, credential_service, refresh_token_service
from app.routers.refresh_cookie import Cookie
from app.schemas.auth_schemas import ReauthenticateRequest
from app.services.auth_service import AuthService

router = Router(
    prefix="/auth",
    tags=["Auth"],
    responses=problem_responses(ValidationFailedError, ServiceUnavailableError),
)


@unlimited  # what it does is counted more strictly
async def get_service(request: Request, db: DbSession) -> AuthService:
    collaborators = collaborators_of(request)
    audit = audit_trail(request, db)
    return AuthService(
        UserRepository(db),
        credential_service(request, db, audit),
        refresh_token_service(request, db, audit),
        audit,
        passwords=collaborators.passwords,
        attempts=collaborators.attempts,
    )


Service = Annotated[AuthService, Depends(get_service)]


@router.post(
    "/reauthenticate",
    status_code=204,
    operation_id="reauthenticate",
    summary="Prove the password once more, for sensitive changes",
    responses=problem_responses(UnauthorizedError, WrongPasswordError, TooManyRequestsError),
)
async def reauthenticate(
    data: ReauthenticateRequest,
    principal: CurrentPrincipal,
    service: Service,
    client: CurrentClient,
) -> None:
    await service.reauthenticate(principal, data.password, client)


@router.post(
    "/logout-all",
    status_code=204,
    operation_id="logout_all",
    summary="End every session of the caller",
    responses=problem_responses(UnauthorizedError),
)
async def logout_all(principal: CurrentPrincipal, service: Service, cookie: Cookie) -> None:
    await service.logout_all(principal)
    cookie.clear()
