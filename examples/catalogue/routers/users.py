from typing import Annotated

from fastapi import Depends, Request, Response

from examples.catalogue.core.permissions import Permission
from examples.catalogue.repositories.user_repository import UserRepository
from examples.catalogue.schemas.user_schemas import (
    AccountDelete,
    UserListQuery,
    UserPublicResponse,
    UserResponse,
    UserUpdate,
)
from examples.catalogue.services.directory_service import DirectoryService
from examples.catalogue.services.user_service import UserService
from mscr.core.exceptions import (
    ForbiddenError,
    LastAdministratorError,
    ReauthenticationRequiredError,
    ValidationFailedError,
    WrongPasswordError,
)
from mscr.core.security.principal import Principal
from mscr.endpoints.account_services import account_deletion_service, credential_service
from mscr.endpoints.audit import audit_trail
from mscr.endpoints.callers import CurrentPrincipal, CurrentUserId
from mscr.endpoints.database import DbSession, ReadDbSession
from mscr.endpoints.permissions import RecentPrincipal, require_permission
from mscr.endpoints.preconditions import preconditions_on
from mscr.endpoints.refresh_transport import Transport
from mscr.endpoints.requests import CurrentClient, PublicId, collaborators_of
from mscr.endpoints.resource_responder import Responder
from mscr.http.openapi import problem_responses
from mscr.http.preconditions import Preconditions
from mscr.http.request_parameters import query_model
from mscr.http.responses import PageResponse, SuccessResponse, page_response, success_response
from mscr.http.routing import Router

router = Router(
    prefix="/users",
    tags=["Users"],
    responses=problem_responses(ValidationFailedError),
)


async def get_service(request: Request, db: DbSession) -> UserService:
    audit = audit_trail(request, db)
    user_repo = UserRepository(db)
    return UserService(
        user_repo,
        credential_service(request, user_repo, audit),
        account_deletion_service(request, user_repo, audit),
        audit,
    )


async def get_directory(request: Request, db: ReadDbSession) -> DirectoryService:
    return DirectoryService(UserRepository(db), pager=collaborators_of(request).pager)


Service = Annotated[UserService, Depends(get_service)]
Directory = Annotated[DirectoryService, Depends(get_directory)]
UserReader = Annotated[Principal, require_permission(Permission.USERS_READ)]
UserManager = Annotated[Principal, require_permission(Permission.USERS_MANAGE)]
AccountPreconditions = Annotated[Preconditions, preconditions_on(UserResponse)]
ProfilePreconditions = Annotated[Preconditions, preconditions_on(UserPublicResponse)]


@router.get("/me", summary="Get the caller's account")
async def get_me(
    principal: CurrentPrincipal, preconditions: AccountPreconditions, respond: Responder
) -> SuccessResponse[UserResponse]:
    # The account comes from the session look-up of the request: no further query.
    preconditions.check(principal.account)
    return respond.ok(principal.account, UserResponse)


@router.patch("/me", summary="Change the caller's account")
async def update_me(
    data: UserUpdate,
    user_id: CurrentUserId,
    service: Service,
    preconditions: AccountPreconditions,
    respond: Responder,
) -> SuccessResponse[UserResponse]:
    return respond.ok(await service.update(user_id, data, preconditions), UserResponse)


@router.delete(
    "/me",
    status_code=204,
    summary="Delete the caller's account and its items",
    responses=problem_responses(
        WrongPasswordError, ReauthenticationRequiredError, LastAdministratorError
    ),
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
    await service.delete_account(principal.user_id, data.password, client, preconditions)
    transport.clear(response)


@router.get(
    "",
    summary="List all users (administrators)",
    responses=problem_responses(ForbiddenError),
)
async def list_users(
    reader: UserReader,
    query: Annotated[UserListQuery, query_model(UserListQuery)],
    directory: Directory,
) -> PageResponse[UserResponse]:
    return page_response(await directory.list_page(query, viewer=reader.public_id), UserResponse)


@router.get(
    "/{public_id}",
    summary="Get a user's public profile",
)
async def get_user(
    public_id: PublicId,
    _: CurrentPrincipal,
    directory: Directory,
    preconditions: ProfilePreconditions,
    respond: Responder,
) -> SuccessResponse[UserPublicResponse]:
    return respond.ok(await directory.get_public(public_id, preconditions), UserPublicResponse)


@router.post(
    "/{public_id}/activate",
    summary="Activate a user (administrators)",
    responses=problem_responses(ForbiddenError),
)
async def activate_user(
    public_id: PublicId, manager: UserManager, service: Service
) -> SuccessResponse[UserResponse]:
    return success_response(UserResponse.model_validate(await service.activate(public_id, manager)))


@router.post(
    "/{public_id}/deactivate",
    summary="Deactivate a user and end all its sessions (administrators)",
    responses=problem_responses(ForbiddenError, LastAdministratorError),
)
async def deactivate_user(
    public_id: PublicId, manager: UserManager, service: Service
) -> SuccessResponse[UserResponse]:
    return success_response(
        UserResponse.model_validate(await service.deactivate(public_id, manager))
    )
