from typing import Annotated

from fastapi import Depends, Request, Response

from mscr.core.exceptions import (
    NotFoundError,
    ServiceUnavailableError,
    UnauthorizedError,
    ValidationFailedError,
)
from mscr.endpoints.audit import Audit
from mscr.endpoints.callers import CurrentPrincipal
from mscr.endpoints.database import DbSession
from mscr.endpoints.refresh_transport import Transport
from mscr.endpoints.requests import PublicId, tables_of
from mscr.http.openapi import problem_responses
from mscr.http.responses import SuccessResponse, success_response
from mscr.http.routing import Router
from mscr.repositories.refresh_token_repository import RefreshTokenRepository
from mscr.schemas.session_schemas import SessionResponse
from mscr.services.session_service import SessionService

router = Router(
    prefix="/auth/sessions",
    tags=["Sessions"],
    responses=problem_responses(UnauthorizedError, ServiceUnavailableError),
)


async def get_service(request: Request, db: DbSession, audit: Audit) -> SessionService:
    return SessionService(RefreshTokenRepository(db, tables_of(request)), audit)


Service = Annotated[SessionService, Depends(get_service)]


@router.get("", summary="List the caller's sessions")
async def list_sessions(
    principal: CurrentPrincipal, service: Service
) -> SuccessResponse[list[SessionResponse]]:
    sessions = await service.list_own(principal)
    current = principal.session_id
    return success_response([SessionResponse.of(s, current=current) for s in sessions])


@router.delete(
    "",
    status_code=204,
    summary="End the caller's other sessions",
)
async def end_other_sessions(principal: CurrentPrincipal, service: Service) -> None:
    await service.end_others(principal)


@router.delete(
    "/{public_id}",
    status_code=204,
    summary="End one of the caller's sessions",
    responses=problem_responses(NotFoundError, ValidationFailedError),
)
async def end_session(
    public_id: PublicId,
    principal: CurrentPrincipal,
    service: Service,
    transport: Transport,
    response: Response,
) -> None:
    await service.end(public_id, principal)
    if str(public_id) == principal.session_id:
        transport.clear(response)
