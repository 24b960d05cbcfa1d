from typing import Annotated

from fastapi import Depends, Request, Response

from app.core.dependencies import (
    CurrentClient,
    CurrentPrincipal,
    CurrentUserId,
    DbSession,
    PublicId,
    ReadDbSession,
    RecentPrincipal,
    page_of,
    require_permission,
)
from app.core.exceptions import (
    LastAdministratorError,
    ReauthenticationRequiredError,
    WrongPasswordError,
)
from app.core.responses import PageResponse, SuccessResponse, page_response, success_response
from app.core.security.permissions import Permission
from app.repositories.user_repository import UserRepository
from app.schemas.user_schemas import (
    AccountDelete,
    UserListQuery,
    UserPublicResponse,
    UserResponse,
    UserUpdate,
)
from app.services.directory_service import DirectoryService
from app.services.user_service import UserService
from mscr.core.security.principal import Principal
from mscr.endpoints.account_services import account_deletion_service, credential_service
from mscr.endpoints.audit import audit_trail
from mscr.endpoints.preconditions import preconditions_on
from mscr.endpoints.refresh_transport import Transport
from mscr.endpoints.resource_responder import Responder
from mscr.http.openapi import problem_responses
from mscr.http.preconditions import Preconditions
from mscr.http.routing import Router
from mscr.queries.pagination import PageRequest

router = Router(prefix="/users", tags=["Users"])


async def get_service(request: Request, db: DbSession) -> UserService:
    audit = audit_trail(request, db)
    user_repo = UserRepository(db)
    return UserService(
        user_repo,
        credential_service(request, user_repo, audit),
        account_deletion_service(request, user_repo, audit),
        audit,
    )


async def get_directory(db: ReadDbSession) -> DirectoryService:
    return DirectoryService(UserRepository(db))


UserPage = Annotated[PageRequest, page_of(UserListQuery)]
Service = Annotated[UserService, Depends(get_service)]
Directory = Annotated[DirectoryService, Depends(get_directory)]
UserReader = Annotated[Principal, require_permission(Permission.USERS_READ)]
UserManager = Annotated[Principal, require_permission(Permission.USERS_MANAGE)]
AccountPreconditions = Annotated[Preconditions, preconditions_on(UserResponse)]
ProfilePreconditions = Annotated[Preconditions, preconditions_on(UserPublicResponse)]


@router.get("/me")
async def get_me(
    principal: CurrentPrincipal, preconditions: AccountPreconditions, respond: Responder
) -> SuccessResponse[UserResponse]:
    """Get the caller's account."""
    # The account comes from the session look-up of the request: no further query.
    preconditions.check(principal.account)
    return respond.ok(principal.account, UserResponse)


@router.patch("/me")
async def update_me(
    data: UserUpdate,
    user_id: CurrentUserId,
    service: Service,
    preconditions: AccountPreconditions,
    respond: Responder,
) -> SuccessResponse[UserResponse]:
    """Change the caller's account."""
    return respond.ok(await service.update(user_id, data, preconditions), UserResponse)


@router.delete(
    "/me",
    status_code=204,
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
    """Delete the caller's account and what belongs to it."""
    await service.delete_account(principal.user_id, data.password, client, preconditions)
    transport.clear(response)


@router.get("")
async def list_users(
    _: UserReader, page: UserPage, directory: Directory
) -> PageResponse[UserResponse]:
    """List all users (administrators)."""
    return page_response(await directory.list(page), UserResponse, page)


@router.get("/{public_id}")
async def get_user(
    public_id: PublicId,
    _: CurrentPrincipal,
    directory: Directory,
    preconditions: ProfilePreconditions,
    respond: Responder,
) -> SuccessResponse[UserPublicResponse]:
    """Get a user's public profile."""
    return respond.ok(await directory.get_public(public_id, preconditions), UserPublicResponse)


@router.post("/{public_id}/activate")
async def activate_user(
    public_id: PublicId, manager: UserManager, service: Service
) -> SuccessResponse[UserResponse]:
    """Activate a user (administrators)."""
    user = await service.activate(public_id, manager)
    return success_response(UserResponse.model_validate(user))


@router.post("/{public_id}/deactivate", responses=problem_responses(LastAdministratorError))
async def deactivate_user(
    public_id: PublicId, manager: UserManager, service: Service
) -> SuccessResponse[UserResponse]:
    """Deactivate a user and end all its sessions (administrators)."""
    user = await service.deactivate(public_id, manager)
    return success_response(UserResponse.model_validate(user))
