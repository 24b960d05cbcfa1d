from typing import Annotated

from fastapi import Depends, Request

from app.core.dependencies import (
    CurrentClient,
    CurrentPrincipal,
    CurrentUserId,
    DbSession,
    PublicId,
    ReadDbSession,
    RecentPrincipal,
    collaborators_of,
    require_permission,
)
from app.core.exceptions import (
    ForbiddenError,
    LastAdministratorError,
    NotFoundError,
    ReauthenticationRequiredError,
    ServiceUnavailableError,
    TooManyRequestsError,
    UnauthorizedError,
    ValidationFailedError,
    WrongPasswordError,
)
from app.core.openapi import problem_responses
from app.core.preconditions import Preconditions
from app.core.request_parameters import query_of
from app.core.responses import PageResponse, SuccessResponse, page_response, success_response
from app.core.routing import Router
from app.core.security.permissions import Permission
from app.core.security.principal import Principal
from app.repositories.idempotency_key_repository import IdempotencyKeyRepository
from app.repositories.owned_row_repository import OwnedRowRepository
from app.repositories.user_repository import UserRepository
from app.routers.dependencies import audit_trail, credential_service, refresh_token_service
from app.routers.preconditions import preconditions_on
from app.routers.refresh_cookie import Cookie
from app.routers.resource_response import Answer
from app.schemas.user_schemas import (
    AccountDelete,
    UserListQuery,
    UserPublicResponse,
    UserResponse,
    UserUpdate,
)
from app.services.directory_service import DirectoryService
from app.services.user_service import UserService

router = Router(
    prefix="/users",
    tags=["Users"],
    responses=problem_responses(UnauthorizedError, ValidationFailedError, ServiceUnavailableError),
)


async def get_service(request: Request, db: DbSession) -> UserService:
    audit = audit_trail(request, db)
    return UserService(
        UserRepository(db),
        OwnedRowRepository(db),
        IdempotencyKeyRepository(db),
        credential_service(request, db, audit),
        refresh_token_service(request, db, audit),
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


@router.get("/me", operation_id="get_me", summary="The caller's account")
async def get_me(
    principal: CurrentPrincipal, preconditions: AccountPreconditions, answer: Answer
) -> SuccessResponse[UserResponse]:
    # Of the look at the session, which every request takes: it costs no other one.
    preconditions.check(principal.account)
    return answer.show(principal.account, UserResponse)


@router.patch("/me", operation_id="update_me", summary="Change the caller's account")
async def update_me(
    data: UserUpdate,
    user_id: CurrentUserId,
    service: Service,
    preconditions: AccountPreconditions,
    answer: Answer,
) -> SuccessResponse[UserResponse]:
    return answer.show(await service.update(user_id, data, preconditions), UserResponse)


@router.delete(
    "/me",
    status_code=204,
    operation_id="delete_me",
    summary="Delete the caller's account and its items",
    responses=problem_responses(
        WrongPasswordError,
        ReauthenticationRequiredError,
        LastAdministratorError,
        TooManyRequestsError,
    ),
)
async def delete_me(
    data: AccountDelete,
    principal: RecentPrincipal,
    service: Service,
    client: CurrentClient,
    preconditions: AccountPreconditions,
    cookie: Cookie,
) -> None:
    await service.delete_account(principal.user_id, data.password, client, preconditions)
    cookie.clear()


@router.get(
    "",
    operation_id="list_users",
    summary="All users (administrators)",
    responses=problem_responses(ForbiddenError),
)
async def list_users(
    reader: UserReader,
    query: Annotated[UserListQuery, query_of(UserListQuery)],
    directory: Directory,
) -> PageResponse[UserResponse]:
    return page_response(await directory.list_page(query, viewer=reader.public_id), UserResponse)


@router.get(
    "/{public_id}",
    operation_id="get_user",
    summary="A user's public profile",
    responses=problem_responses(NotFoundError),
)
async def get_user(
    public_id: PublicId,
    _: CurrentPrincipal,
    directory: Directory,
    preconditions: ProfilePreconditions,
    answer: Answer,
) -> SuccessResponse[UserPublicResponse]:
    return answer.show(await directory.get_public(public_id, preconditions), UserPublicResponse)


@router.post(
    "/{public_id}/activate",
    operation_id="activate_user",
    summary="Let a user log in again (administrators)",
    responses=problem_responses(ForbiddenError, NotFoundError),
)
async def activate_user(
    public_id: PublicId, manager: UserManager, service: Service
) -> SuccessResponse[UserResponse]:
    return success_response(UserResponse.model_validate(await service.activate(public_id, manager)))


@router.post(
    "/{public_id}/deactivate",
    operation_id="deactivate_user",
    summary="Lock a user out at once (administrators)",
    responses=problem_responses(ForbiddenError, NotFoundError, LastAdministratorError),
)
async def deactivate_user(
    public_id: PublicId, manager: UserManager, service: Service
) -> SuccessResponse[UserResponse]:
    return success_response(
        UserResponse.model_validate(await service.deactivate(public_id, manager))
    )
