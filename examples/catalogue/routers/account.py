"""The caller's own account."""

from typing import Annotated

from fastapi import Depends, Request, Response

from examples.catalogue.repositories.user_repository import UserRepository
from examples.catalogue.schemas.user_schemas import AccountDelete, UserResponse
from examples.catalogue.services.account_service import AccountService
from mscr.core.exceptions import (
    ReauthenticationRequiredError,
    ValidationFailedError,
    WrongPasswordError,
)
from mscr.endpoints.account_services import account_deletion_service, credential_service
from mscr.endpoints.audit import audit_trail
from mscr.endpoints.callers import CurrentPrincipal
from mscr.endpoints.database import DbSession
from mscr.endpoints.permissions import RecentPrincipal
from mscr.endpoints.preconditions import preconditions_on
from mscr.endpoints.refresh_transport import Transport
from mscr.endpoints.requests import CurrentClient
from mscr.endpoints.resource_responder import Responder
from mscr.http.openapi import problem_responses
from mscr.http.preconditions import Preconditions
from mscr.http.responses import SuccessResponse
from mscr.http.routing import Router

router = Router(
    prefix="/users/me", tags=["Account"], responses=problem_responses(ValidationFailedError)
)


async def get_service(request: Request, db: DbSession) -> AccountService:
    audit, user_repo = audit_trail(request, db), UserRepository(db)
    return AccountService(
        user_repo,
        credential_service(request, user_repo, audit),
        account_deletion_service(request, user_repo, audit),
    )


Service = Annotated[AccountService, Depends(get_service)]
AccountPreconditions = Annotated[Preconditions, preconditions_on(UserResponse)]


@router.get("", summary="Get the caller's account")
async def get_me(
    principal: CurrentPrincipal, preconditions: AccountPreconditions, respond: Responder
) -> SuccessResponse[UserResponse]:
    # The account comes from the session look-up of the request: no further query.
    preconditions.check(principal.account)
    return respond.ok(principal.account, UserResponse)


@router.delete(
    "",
    status_code=204,
    summary="Delete the caller's account, its items and tags",
    responses=problem_responses(WrongPasswordError, ReauthenticationRequiredError),
)
async def delete_me(
    data: AccountDelete,
    principal: RecentPrincipal,
    service: Service,
    client: CurrentClient,
    preconditions: AccountPreconditions,
    transport: Transport,
    response: Response,
) -> None:
    await service.delete(principal.user_id, data.password, client, preconditions)
    transport.clear(response)
