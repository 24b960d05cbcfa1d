"""Register, log in and out. A `transport` carries refresh tokens, in bodies or in a cookie."""

from typing import Annotated

from fastapi import Depends, Request, Response

from examples.catalogue.repositories.user_repository import UserRepository
from examples.catalogue.schemas.user_schemas import UserRegister
from examples.catalogue.services.auth_service import AuthService, password_context
from mscr.core.config import Settings
from mscr.core.exceptions import (
    EmailTakenError,
    InvalidCredentialsError,
    InvalidRefreshTokenError,
    TooManyRequestsError,
    ValidationFailedError,
)
from mscr.endpoints.account_services import credential_service, refresh_token_service
from mscr.endpoints.audit import audit_trail
from mscr.endpoints.database import DbSession
from mscr.endpoints.password_grant import GRANT_ERRORS, PASSWORD_FORM, PasswordForm, granting
from mscr.endpoints.refresh_transport import refresh_transport
from mscr.endpoints.requests import CurrentClient
from mscr.http.anonymous import unlimited
from mscr.http.openapi import problem_responses
from mscr.http.responses import SuccessResponse, success_response
from mscr.http.routing import Router
from mscr.schemas.auth_schemas import AccessTokenResponse, LoginRequest


@unlimited  # the service itself has stricter limits
async def get_service(request: Request, db: DbSession) -> AuthService:
    audit = audit_trail(request, db)
    user_repo = UserRepository(db)
    return AuthService(
        user_repo,
        credential_service(request, user_repo, audit),
        refresh_token_service(request, db, audit),
        audit,
        context=password_context,
    )


Service = Annotated[AuthService, Depends(get_service)]


def logins(settings: Settings) -> Router:
    """Return the routes that exchange credentials and refresh tokens for new tokens."""
    transport = refresh_transport(settings)
    router = transport.router(prefix="/auth", tags=["Auth"])

    @router.post(
        "/register",
        status_code=201,
        summary="Create an account and log in",
        response_model=transport.success,
        responses=problem_responses(EmailTakenError, TooManyRequestsError, ValidationFailedError),
    )
    async def register(
        data: UserRegister, service: Service, client: CurrentClient, response: Response
    ) -> SuccessResponse[AccessTokenResponse]:
        tokens = await service.register_user(data, client)
        return success_response(transport.carry(tokens, response))

    @router.post(
        "/login",
        summary="Log in",
        response_model=transport.success,
        responses=problem_responses(
            InvalidCredentialsError, TooManyRequestsError, ValidationFailedError
        ),
    )
    async def login(
        data: LoginRequest, service: Service, client: CurrentClient, response: Response
    ) -> SuccessResponse[AccessTokenResponse]:
        tokens = await service.login(data, client)
        return success_response(transport.carry(tokens, response))

    @router.post(
        "/token",
        summary="Log in with an OAuth2 password form",
        response_model=transport.tokens,
        responses=problem_responses(*GRANT_ERRORS, TooManyRequestsError),
        openapi_extra=PASSWORD_FORM,
    )
    async def create_token(
        data: PasswordForm, service: Service, client: CurrentClient, response: Response
    ) -> AccessTokenResponse:
        with granting(response):
            tokens = await service.login(data, client)
        return transport.carry(tokens, response)

    @router.post(
        "/refresh",
        summary="Exchange a refresh token for a new pair of tokens",
        response_model=transport.success,
        responses=problem_responses(
            InvalidRefreshTokenError, transport.unreadable, TooManyRequestsError
        ),
    )
    async def refresh_tokens(
        token: Annotated[str, transport.refresh_token],
        service: Service,
        client: CurrentClient,
        request: Request,
        response: Response,
    ) -> SuccessResponse[AccessTokenResponse]:
        tokens = await service.refresh(token, arrived_at=request.state.arrived_at, client=client)
        return success_response(transport.carry(tokens, response))

    @router.post(
        "/logout",
        status_code=204,
        summary="End the session of a refresh token",
        responses=problem_responses(transport.unreadable, TooManyRequestsError),
    )
    async def logout(
        token: Annotated[str, transport.logout_token],
        service: Service,
        client: CurrentClient,
        response: Response,
    ) -> None:
        await service.logout(token, client)
        transport.clear(response)

    return router
