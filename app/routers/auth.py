from typing import Annotated

from fastapi import APIRouter, Depends

from app.core.dependencies import (
    AppCollaborators,
    CurrentClient,
    CurrentPrincipal,
    DbSession,
)
from app.core.exceptions import (
    EmailTakenError,
    InvalidCredentialsError,
    InvalidRefreshTokenError,
    ServiceUnavailableError,
    TooManyRequestsError,
    UnauthorizedError,
    ValidationFailedError,
    WrongPasswordError,
)
from app.core.openapi import problem_responses
from app.core.responses import SuccessResponse, success_response
from app.repositories.user_repository import UserRepository
from app.routers.dependencies import (
    LOGIN_BODY,
    ArrivalTime,
    Audit,
    Credentials,
    LoginBody,
    RefreshTokens,
)
from app.schemas.auth_schemas import (
    LoginResponse,
    LogoutRequest,
    ReauthenticateRequest,
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
    db: DbSession,
    credentials: Credentials,
    sessions: RefreshTokens,
    audit: Audit,
    collaborators: AppCollaborators,
) -> AuthService:
    return AuthService(
        UserRepository(db),
        credentials,
        sessions,
        audit,
        passwords=collaborators.passwords,
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
    data: UserRegister, service: Service, client: CurrentClient
) -> SuccessResponse[TokenResponse]:
    return success_response(await service.register_user(data, client))


@router.post(
    "/login",
    operation_id="login",
    summary="Log in with JSON or an OAuth2 password form",
    responses=problem_responses(InvalidCredentialsError, TooManyRequestsError),
    openapi_extra=LOGIN_BODY,
)
async def login(login_body: LoginBody, service: Service, client: CurrentClient) -> LoginResponse:
    tokens = await service.login(login_body.credentials, client)
    return LoginResponse.of(tokens, oauth2=login_body.by_form)


@router.post(
    "/refresh",
    operation_id="refresh_tokens",
    summary="Exchange a refresh token for a new pair",
    responses=problem_responses(InvalidRefreshTokenError, TooManyRequestsError),
)
async def refresh(
    data: RefreshRequest, service: Service, client: CurrentClient, arrived_at: ArrivalTime
) -> SuccessResponse[TokenResponse]:
    tokens = await service.refresh(data.refresh_token, arrived_at=arrived_at, client=client)
    return success_response(tokens)


@router.post(
    "/reauthenticate",
    status_code=204,
    operation_id="reauthenticate",
    summary="Prove the password once more, for sensitive changes",
    responses=problem_responses(UnauthorizedError, WrongPasswordError, TooManyRequestsError),
)
async def reauthenticate(
    data: ReauthenticateRequest,
    principal: CurrentPrincipal,
    service: Service,
    client: CurrentClient,
) -> None:
    await service.reauthenticate(principal, data.password, client)


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
async def logout_all(principal: CurrentPrincipal, service: Service) -> None:
    await service.logout_all(principal)
