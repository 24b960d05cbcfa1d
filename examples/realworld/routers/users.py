from typing import Annotated

from fastapi import Depends, Request

from examples.realworld.core.exceptions import UsernameTakenError
from examples.realworld.models.user import User
from examples.realworld.repositories.user_repository import UserRepository
from examples.realworld.schemas.user_schemas import (
    LoginBody,
    RegisterRequest,
    UpdateUserRequest,
    UserEnvelope,
    UserResponse,
)
from examples.realworld.services.user_service import UserService, password_context
from mscr.core.exceptions import (
    EmailTakenError,
    InvalidCredentialsError,
    ServiceUnavailableError,
    TooManyRequestsError,
)
from mscr.endpoints.account_services import credential_service, refresh_token_service
from mscr.endpoints.audit import audit_trail
from mscr.endpoints.callers import CurrentPrincipal
from mscr.endpoints.database import DbSession
from mscr.endpoints.requests import CurrentClient
from mscr.http.anonymous import unlimited
from mscr.http.bearer import bearer_token
from mscr.http.openapi import problem_responses
from mscr.http.routing import Router

LIMITED = problem_responses(TooManyRequestsError, ServiceUnavailableError)
TAKEN = (EmailTakenError, UsernameTakenError)

router = Router(tags=["Users"])


@unlimited  # the service itself has stricter limits
async def get_service(request: Request, db: DbSession) -> UserService:
    audit = audit_trail(request, db)
    users = UserRepository(db)
    return UserService(
        users,
        credential_service(request, users, audit),
        refresh_token_service(request, db, audit),
        audit,
        context=password_context,
    )


Users = Annotated[UserService, Depends(get_service)]


def shown(user: User, token: str) -> UserEnvelope:
    columns = {name: getattr(user, name) for name in ("email", "username", "bio", "image")}
    return UserEnvelope(user=UserResponse(token=token, **columns))


@router.post("/users", status_code=201, responses=LIMITED | problem_responses(*TAKEN))
async def register(data: RegisterRequest, users: Users, client: CurrentClient) -> UserEnvelope:
    """Register and log in."""
    tokens = await users.register_user(data.user, client)
    return shown(await users.find(data.user.email), tokens.access_token)


@router.post("/users/login", responses=LIMITED | problem_responses(InvalidCredentialsError))
async def login(data: LoginBody, users: Users, client: CurrentClient) -> UserEnvelope:
    """Log in."""
    tokens = await users.login(data.user, client)
    return shown(await users.find(data.user.email), tokens.access_token)


@router.get("/user")
async def get_current_user(
    caller: CurrentPrincipal, users: Users, request: Request
) -> UserEnvelope:
    """Get the caller's account."""
    return shown(await users.get(caller.user_id), bearer_token(request))


@router.put("/user", responses=problem_responses(*TAKEN))
async def update_current_user(
    data: UpdateUserRequest, caller: CurrentPrincipal, users: Users, request: Request
) -> UserEnvelope:
    """Change the caller's account."""
    return shown(await users.update(caller.user_id, data.user), bearer_token(request))
