from typing import Annotated

from fastapi import Depends

from app.core.dependencies import CurrentPrincipal, DbSession, PublicId
from app.core.exceptions import (
    NotFoundError,
    ServiceUnavailableError,
    UnauthorizedError,
    ValidationFailedError,
)
from app.core.openapi import problem_responses
from app.core.responses import SuccessResponse, success_response
from app.core.routing import Router
from app.repositories.refresh_token_repository import RefreshTokenRepository
from app.routers.dependencies import Audit
from app.routers.refresh_cookie import Cookie
from app.schemas.session_schemas import SessionResponse
from app.services.session_service import SessionService

router = Router(
    prefix="/auth/sessions",
    tags=["Sessions"],
    responses=problem_responses(UnauthorizedError, ServiceUnavailableError),
)


async def get_service(db: DbSession, audit: Audit) -> SessionService:
    return SessionService(RefreshTokenRepository(db), audit)


Service = Annotated[SessionService, Depends(get_service)]


@router.get("", operation_id="list_sessions", summary="Where the caller is logged in")
async def list_sessions(
    principal: CurrentPrincipal, service: Service
) -> SuccessResponse[list[SessionResponse]]:
    sessions = await service.list_own(principal)
    current = principal.session_id
    return success_response([SessionResponse.of(s, current=current) for s in sessions])


@router.delete(
    "",
    status_code=204,
    operation_id="end_other_sessions",
    summary="Log out everywhere but here",
)
async def end_other_sessions(principal: CurrentPrincipal, service: Service) -> None:
    await service.end_others(principal)


@router.delete(
    "/{public_id}",
    status_code=204,
    operation_id="end_session",
    summary="End one of the caller's sessions",
    responses=problem_responses(NotFoundError, ValidationFailedError),
)
async def end_session(
    public_id: PublicId, principal: CurrentPrincipal, service: Service, cookie: Cookie
) -> None:
    await service.end(public_id, principal)
    if str(public_id) == principal.session_id:
        cookie.clear()
