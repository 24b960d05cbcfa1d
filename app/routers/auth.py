from typing import Annotated

from fastapi import APIRouter, Depends

from app.core.dependencies import AppCollaborators, ClientAddress, CurrentUserId, DbSession
from app.core.exceptions import (
    EmailTakenError,
    InvalidCredentialsError,
    InvalidRefreshTokenError,
    ServiceUnavailableError,
    TooManyRequestsError,
    UnauthorizedError,
    ValidationFailedError,
)
from app.core.openapi import problem_responses
from app.core.responses import SuccessResponse, success_response
from app.repositories.user_repository import UserRepository
from app.routers.dependencies import LOGIN_BODY, ArrivalTime, LoginBody, RefreshTokens
from app.schemas.auth_schemas import (
    LoginResponse,
    LogoutRequest,
    RefreshRequest,
    TokenResponse,
    UserRegister,
)
from app.services.auth_service import AuthService

router = APIRouter(
    prefix="/auth",
    tags=["Auth"],
    responses=problem_responses(ValidationFailedError, ServiceUnavailableError),
)


async def get_service(
    db: DbSession, sessions: RefreshTokens, collaborators: AppCollaborators
) -> AuthService:
    return AuthService(
        UserRepository(db),
        sessions,
        passwords=collaborators.passwords,
        policy=collaborators.password_policy,
        attempts=collaborators.attempts,
    )


Service = Annotated[AuthService, Depends(get_service)]


@router.post(
    "/register",
    status_code=201,
    operation_id="register",
    summary="Create an account and log in",
    responses=problem_responses(EmailTakenError, TooManyRequestsError),
)
async def register(
    data: UserRegister, service: Service, address: ClientAddress
) -> SuccessResponse[TokenResponse]:
    return success_response(await service.register_user(data, address=address))


@router.post(
    "/login",
    operation_id="login",
    summary="Log in with JSON or an OAuth2 password form",
    responses=problem_responses(InvalidCredentialsError, TooManyRequestsError),
    openapi_extra=LOGIN_BODY,
)
async def login(login_body: LoginBody, service: Service, address: ClientAddress) -> LoginResponse:
    tokens = await service.login(login_body.credentials, address=address)
    return LoginResponse.of(tokens, oauth2=login_body.by_form)


@router.post(
    "/refresh",
    operation_id="refresh_tokens",
    summary="Exchange a refresh token for a new pair",
    responses=problem_responses(InvalidRefreshTokenError),
)
async def refresh(
    data: RefreshRequest, service: Service, arrived_at: ArrivalTime
) -> SuccessResponse[TokenResponse]:
    return success_response(await service.refresh(data.refresh_token, arrived_at=arrived_at))


@router.post(
    "/logout",
    status_code=204,
    operation_id="logout",
    summary="End the session of a refresh token",
)
async def logout(data: LogoutRequest, service: Service) -> None:
    """Works without an access token, and twice; an unknown token is no error (RFC 7009)."""
    await service.logout(data.refresh_token)


@router.post(
    "/logout-all",
    status_code=204,
    operation_id="logout_all",
    summary="End every session of the caller",
    responses=problem_responses(UnauthorizedError),
)
async def logout_all(user_id: CurrentUserId, service: Service) -> None:
    await service.logout_all(user_id)
