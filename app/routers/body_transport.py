"""Refresh tokens in JSON bodies: every route that hands one out or takes one.

`cookie_transport` has the same routes for the other value of REFRESH_TOKEN_TRANSPORT; a rule that
is added to one of them belongs into both, and into the service rather than into either.
"""

from app.core.dependencies import CurrentClient, RecentPrincipal
from app.core.exceptions import (
    EmailTakenError,
    InvalidCredentialsError,
    InvalidRefreshTokenError,
    ReauthenticationRequiredError,
    ServiceUnavailableError,
    TooManyRequestsError,
    UnauthorizedError,
    ValidationFailedError,
    WrongPasswordError,
)
from app.core.openapi import problem_responses
from app.core.responses import SuccessResponse, success_response
from app.core.routing import Router
from app.routers import auth, users
from app.routers.dependencies import ArrivalTime
from app.routers.password_grant import TOKEN_ROUTE, GrantedTokens
from app.schemas.auth_schemas import (
    ChangePasswordRequest,
    LoginRequest,
    LogoutRequest,
    RefreshRequest,
    TokenResponse,
    UserRegister,
)

router = Router(responses=problem_responses(ServiceUnavailableError))
# Without REGISTRATION_BY_MAIL: with it, registering hands out no token (`mail_registration`).
registration = Router(responses=problem_responses(ServiceUnavailableError))


@registration.post(
    "/auth/register",
    status_code=201,
    tags=["Auth"],
    operation_id="register",
    summary="Create an account and log in",
    responses=problem_responses(EmailTakenError, TooManyRequestsError, ValidationFailedError),
)
async def register(
    data: UserRegister, service: auth.Service, client: CurrentClient
) -> SuccessResponse[TokenResponse]:
    tokens = await service.register_user(data, client)
    return success_response(TokenResponse.model_validate(tokens))


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
    data: LoginRequest, service: auth.Service, client: CurrentClient
) -> SuccessResponse[TokenResponse]:
    tokens = await service.login(data, client)
    return success_response(TokenResponse.model_validate(tokens))


@router.post("/auth/token", **TOKEN_ROUTE)
async def create_token(tokens: GrantedTokens) -> TokenResponse:
    return TokenResponse.model_validate(tokens)


@router.post(
    "/auth/refresh",
    tags=["Auth"],
    operation_id="refresh_tokens",
    summary="Exchange a refresh token for a new pair",
    responses=problem_responses(
        InvalidRefreshTokenError, TooManyRequestsError, ValidationFailedError
    ),
)
async def refresh(
    data: RefreshRequest, service: auth.Service, client: CurrentClient, arrived_at: ArrivalTime
) -> SuccessResponse[TokenResponse]:
    tokens = await service.refresh(data.refresh_token, arrived_at=arrived_at, client=client)
    return success_response(TokenResponse.model_validate(tokens))


@router.post(
    "/auth/logout",
    status_code=204,
    tags=["Auth"],
    operation_id="logout",
    summary="End the session of a refresh token",
    responses=problem_responses(TooManyRequestsError, ValidationFailedError),
)
async def logout(data: LogoutRequest, service: auth.Service, client: CurrentClient) -> None:
    """Works without an access token, and twice; an unknown token is no error (RFC 7009)."""
    await service.logout(data.refresh_token, client)


@router.post(
    "/users/me/change-password",
    tags=["Users"],
    operation_id="change_password",
    summary="Change the password, end all sessions, and start a new one",
    responses=problem_responses(
        UnauthorizedError,
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
) -> SuccessResponse[TokenResponse]:
    tokens = await service.change_password(principal.user_id, data, client)
    return success_response(TokenResponse.model_validate(tokens))
