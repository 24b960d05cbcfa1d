"""Register, log in and out. A `transport` carries the refresh tokens, by body or by cookie."""

from typing import Annotated, Final

from fastapi import Depends, Request, Response

from app.core.config import Settings
from app.core.dependencies import (
    CurrentClient,
    CurrentPrincipal,
    DbSession,
    RecentPrincipal,
    collaborators_of,
)
from app.core.exceptions import (
    BadRequestError,
    EmailTakenError,
    InvalidCredentialsError,
    InvalidRefreshTokenError,
    InvalidRegistrationTokenError,
    ReauthenticationRequiredError,
    ServiceUnavailableError,
    TooManyRequestsError,
    WrongPasswordError,
)
from app.core.responses import SuccessResponse, success_response
from app.models.user import User
from app.repositories.user_repository import UserRepository
from app.schemas.auth_schemas import UserRegister
from app.schemas.user_schemas import UserResponse
from app.services.auth_service import AuthService, password_context
from mscr.core.security.registration_token import pending_registration
from mscr.endpoints.account_services import (
    account_notices,
    credential_service,
    refresh_token_service,
)
from mscr.endpoints.audit import audit_trail
from mscr.endpoints.outbox import Outbox
from mscr.endpoints.password_grant import GRANT_ERRORS, PASSWORD_FORM, PasswordForm, granting
from mscr.endpoints.recovery import AccountRecovery
from mscr.endpoints.refresh_transport import RefreshTransport, Transport, refresh_transport
from mscr.http.anonymous import unlimited
from mscr.http.openapi import problem_responses
from mscr.http.routing import Router
from mscr.routers.recovery import recovery_router
from mscr.schemas.auth_schemas import (
    AccessTokenResponse,
    ChangePasswordRequest,
    ConfirmRegistrationRequest,
    LoginRequest,
    ReauthenticateRequest,
)
from mscr.services.email_verification_service import EmailVerificationService
from mscr.services.mail_registration_service import MailRegistrationService

RECOVERY: Final = AccountRecovery(UserRepository, password_context)
PENDING: Final = pending_registration(UserRegister)
MAILED: Final = "A mail to this address explains the next step. If none arrives, register again."


@unlimited  # the service itself has stricter limits
async def get_service(request: Request, db: DbSession) -> AuthService:
    audit = audit_trail(request, db)
    user_repo = UserRepository(db)
    notices = account_notices(request, db)
    return AuthService(
        user_repo,
        credential_service(request, user_repo, audit),
        refresh_token_service(request, db, audit, notices),
        audit,
        context=password_context,
        notices=notices,
    )


@unlimited  # as above
async def get_mail_registration(
    request: Request, db: DbSession, outbox: Outbox
) -> MailRegistrationService[User]:
    collaborators = collaborators_of(request)
    audit = audit_trail(request, db)
    user_repo = UserRepository(db)
    return MailRegistrationService(
        user_repo,
        credential_service(request, user_repo, audit),
        audit,
        tokens=collaborators.registrations,
        pending=PENDING,
        mails=collaborators.mails,
        outbox=outbox,
    )


Service = Annotated[AuthService, Depends(get_service)]
Verification = Annotated[EmailVerificationService[User] | None, Depends(RECOVERY.of_registration)]
MailRegistration = Annotated[MailRegistrationService[User], Depends(get_mail_registration)]


def registration(transport: RefreshTransport) -> Router:
    """Return the route of a registration that logs in at once."""
    router = transport.router(prefix="/auth", tags=["Auth"])

    @router.post(
        "/register",
        status_code=201,
        response_model=transport.success,
        responses=problem_responses(EmailTakenError),
    )
    async def register(
        data: UserRegister,
        service: Service,
        verification: Verification,
        client: CurrentClient,
        response: Response,
    ) -> SuccessResponse[AccessTokenResponse]:
        """Create an account and log in."""
        tokens = await service.register_user(data, client, verification)
        return success_response(transport.carry(tokens, response))

    return router


# In place of `registration` with REGISTRATION_BY_MAIL: two steps, and neither logs in.
registration_by_mail = Router(
    prefix="/auth",
    tags=["Auth"],
    responses=problem_responses(TooManyRequestsError, ServiceUnavailableError),
)


@registration_by_mail.post("/register", status_code=202, operation_id="register")
async def request_registration(
    data: UserRegister, service: MailRegistration, client: CurrentClient
) -> SuccessResponse[None]:
    """Request an account; a mailed link and the password create it.

    The response is the same for every address (account enumeration); only the mail differs.
    """
    await service.request(data, client, context=password_context(data))
    return success_response(None, message=MAILED)


@registration_by_mail.post(
    "/confirm-registration",
    status_code=201,
    # A 409 reveals nothing: only the owner of the address has the token.
    responses=problem_responses(
        BadRequestError, InvalidRegistrationTokenError, WrongPasswordError, EmailTakenError
    ),
)
async def confirm_registration(
    data: ConfirmRegistrationRequest, service: MailRegistration, client: CurrentClient
) -> SuccessResponse[UserResponse]:
    """Create the account by its mailed link and the password of the registration.

    It does not log in.
    """
    user = await service.confirm(data.token, data.password, client)
    return success_response(UserResponse.model_validate(user))


def logins(transport: RefreshTransport) -> Router:
    """Return the routes that exchange credentials and refresh tokens for new tokens."""
    router = transport.router(prefix="/auth", tags=["Auth"])

    @router.post(
        "/login",
        response_model=transport.success,
        responses=problem_responses(InvalidCredentialsError),
    )
    async def login(
        data: LoginRequest, service: Service, client: CurrentClient, response: Response
    ) -> SuccessResponse[AccessTokenResponse]:
        """Log in."""
        tokens = await service.login(data, client)
        return success_response(transport.carry(tokens, response))

    # The same limits, timing and audit events as for `login`.
    @router.post(
        "/token",
        response_model=transport.tokens,
        responses=problem_responses(*GRANT_ERRORS),
        openapi_extra=PASSWORD_FORM,
    )
    async def create_token(
        data: PasswordForm, service: Service, client: CurrentClient, response: Response
    ) -> AccessTokenResponse:
        """Log in with an OAuth2 password form."""
        with granting(response):
            tokens = await service.login(data, client)
        return transport.carry(tokens, response)

    @router.post(
        "/refresh",
        response_model=transport.success,
        responses=problem_responses(InvalidRefreshTokenError),
    )
    async def refresh_tokens(
        token: Annotated[str, transport.refresh_token],
        service: Service,
        client: CurrentClient,
        request: Request,
        response: Response,
    ) -> SuccessResponse[AccessTokenResponse]:
        """Exchange a refresh token for a new pair of tokens."""
        tokens = await service.refresh(token, arrived_at=request.state.arrived_at, client=client)
        return success_response(transport.carry(tokens, response))

    @router.post(
        "/logout",
        status_code=204,
        responses=problem_responses(transport.unreadable),
    )
    async def logout(
        token: Annotated[str, transport.logout_token],
        service: Service,
        client: CurrentClient,
        response: Response,
    ) -> None:
        """End the session of a refresh token.

        Needs no access token. Idempotent: an unknown or ended token is no error (RFC 7009).
        """
        await service.logout(token, client)
        transport.clear(response)

    return router


router = Router(prefix="/auth", tags=["Auth"])


@router.post("/logout-all", status_code=204)
async def logout_all(
    principal: CurrentPrincipal, service: Service, transport: Transport, response: Response
) -> None:
    """End every session of the caller."""
    await service.logout_all(principal)
    transport.clear(response)


@router.post("/reauthenticate", status_code=204, responses=problem_responses(WrongPasswordError))
async def reauthenticate(
    data: ReauthenticateRequest,
    principal: CurrentPrincipal,
    service: Service,
    client: CurrentClient,
) -> None:
    """Confirm the password again, for sensitive changes."""
    await service.reauthenticate(principal, data.password, client)


def password(transport: RefreshTransport) -> Router:
    """Return the route that changes the password, which starts a new session."""
    router = transport.router(prefix="/users/me", tags=["Users"])

    @router.post(
        "/change-password",
        response_model=transport.success,
        responses=problem_responses(
            *transport.errors, WrongPasswordError, ReauthenticationRequiredError
        ),
    )
    async def change_password(
        data: ChangePasswordRequest,
        principal: RecentPrincipal,
        service: Service,
        client: CurrentClient,
        response: Response,
    ) -> SuccessResponse[AccessTokenResponse]:
        """Change the password, end all sessions, and start a new one."""
        tokens = await service.change_password(principal.user_id, data, client)
        return success_response(transport.carry(tokens, response))

    return router


def routers(settings: Settings) -> tuple[Router, ...]:
    """Return the routes of these settings, in the order of the documentation."""
    transport = refresh_transport(settings)
    registering = registration_by_mail if settings.REGISTRATION_BY_MAIL else registration(transport)
    return registering, logins(transport), router, password(transport), recovery_router(RECOVERY)
