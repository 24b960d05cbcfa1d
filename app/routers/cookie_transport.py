"""Refresh tokens in a cookie that scripts cannot read: the same routes as in `body_transport`.

Each of them is refused to pages of other origins, before anything else (OWASP Cross-Site Request
Forgery Prevention). That goes for logging in too: a page that logs its visitors into an account of
its own would see what they enter there.
"""

from fastapi import Depends

from app.core.dependencies import CurrentClient, RecentPrincipal
from app.core.exceptions import (
    EmailTakenError,
    InvalidCredentialsError,
    InvalidRefreshTokenError,
    ReauthenticationRequiredError,
    ServiceUnavailableError,
    TooManyRequestsError,
    UnauthorizedError,
    UntrustedOriginError,
    ValidationFailedError,
    WrongPasswordError,
)
from app.core.openapi import problem_responses
from app.core.responses import SuccessResponse, success_response
from app.core.routing import Router
from app.routers import auth, users
from app.routers.dependencies import ArrivalTime
from app.routers.password_grant import TOKEN_ROUTE, GrantedTokens
from app.routers.refresh_cookie import Cookie, PresentedToken, require_trusted_origin
from app.schemas.auth_schemas import (
    AccessTokenResponse,
    ChangePasswordRequest,
    LoginRequest,
    UserRegister,
)

router = Router(
    dependencies=[Depends(require_trusted_origin)],
    responses=problem_responses(UntrustedOriginError, ServiceUnavailableError),
)
# Without REGISTRATION_BY_MAIL: with it, registering hands out no token (`mail_registration`).
registration = Router(
    dependencies=[Depends(require_trusted_origin)],
    responses=problem_responses(UntrustedOriginError, ServiceUnavailableError),
)


@registration.post(
    "/auth/register",
    status_code=201,
    tags=["Auth"],
    operation_id="register",
    summary="Create an account and log in",
    responses=problem_responses(EmailTakenError, TooManyRequestsError, ValidationFailedError),
)
async def register(
    data: UserRegister, service: auth.Service, client: CurrentClient, cookie: Cookie
) -> SuccessResponse[AccessTokenResponse]:
    tokens = await service.register_user(data, client)
    return success_response(cookie.carry(tokens))


@router.post(
    "/auth/login",
    tags=["Auth"],
    operation_id="login",
    summary="Log in",
    responses=problem_responses(
        InvalidCredentialsError, TooManyRequestsError, ValidationFailedError
    ),
)
async def login(
    data: LoginRequest, service: auth.Service, client: CurrentClient, cookie: Cookie
) -> SuccessResponse[AccessTokenResponse]:
    tokens = await service.login(data, client)
    return success_response(cookie.carry(tokens))


@router.post("/auth/token", **TOKEN_ROUTE)
async def create_token(tokens: GrantedTokens, cookie: Cookie) -> AccessTokenResponse:
    return cookie.carry(tokens)


@router.post(
    "/auth/refresh",
    tags=["Auth"],
    operation_id="refresh_tokens",
    summary="Exchange a refresh token for a new pair",
    responses=problem_responses(InvalidRefreshTokenError, TooManyRequestsError),
)
async def refresh(
    token: PresentedToken,
    service: auth.Service,
    client: CurrentClient,
    arrived_at: ArrivalTime,
    cookie: Cookie,
) -> SuccessResponse[AccessTokenResponse]:
    tokens = await service.refresh(token, arrived_at=arrived_at, client=client)
    return success_response(cookie.carry(tokens))


@router.post(
    "/auth/logout",
    status_code=204,
    tags=["Auth"],
    operation_id="logout",
    summary="End the session of a refresh token",
    responses=problem_responses(InvalidRefreshTokenError, TooManyRequestsError),
)
async def logout(
    token: PresentedToken, service: auth.Service, client: CurrentClient, cookie: Cookie
) -> None:
    """Works without an access token, and twice; an unknown token is no error (RFC 7009)."""
    await service.logout(token, client)
    cookie.clear()


@router.post(
    "/users/me/change-password",
    tags=["Users"],
    operation_id="change_password",
    summary="Change the password, end all sessions, and start a new one",
    responses=problem_responses(
        UnauthorizedError,
        UntrustedOriginError,
        WrongPasswordError,
        ReauthenticationRequiredError,
        TooManyRequestsError,
        ValidationFailedError,
    ),
)
async def change_password(
    data: ChangePasswordRequest,
    principal: RecentPrincipal,
    service: users.Service,
    client: CurrentClient,
    cookie: Cookie,
) -> SuccessResponse[AccessTokenResponse]:
    tokens = await service.change_password(principal.user_id, data, client)
    return success_response(cookie.carry(tokens))
