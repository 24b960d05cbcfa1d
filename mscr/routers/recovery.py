"""Forgotten passwords, and the proof and change of addresses, by mailed links."""

from typing import Annotated, Any, Final

from fastapi import Depends

from mscr.core.exceptions import (
    BadRequestError,
    EmailTakenError,
    InvalidLinkError,
    ServiceUnavailableError,
    TooManyRequestsError,
)
from mscr.endpoints.callers import CurrentPrincipal
from mscr.endpoints.permissions import RecentPrincipal
from mscr.endpoints.recovery import AccountRecovery, require_mail
from mscr.endpoints.requests import CurrentClient
from mscr.http.anonymous import unlimited
from mscr.http.openapi import problem_responses
from mscr.http.responses import SuccessResponse, success_response
from mscr.http.routing import Router
from mscr.schemas.auth_schemas import (
    ChangeEmailRequest,
    ForgotPasswordRequest,
    ResetPasswordRequest,
    VerifyEmailRequest,
)
from mscr.services.email_verification_service import EmailVerificationService
from mscr.services.password_reset_service import PasswordResetService

# The same for every address: the mail alone depends on it.
MAILED: Final = "A mail explains the next step. If none arrives, check the address and try again."
MAILING: Final = [Depends(require_mail)]


def recovery_router(recovery: AccountRecovery[Any]) -> Router:
    """Return the routes, for the application's users and the texts of its mails."""
    router = Router(responses=problem_responses(TooManyRequestsError, ServiceUnavailableError))
    _add_resets(router, recovery)
    _add_verifications(router, recovery)
    return router


def _add_resets(router: Router, recovery: AccountRecovery[Any]) -> None:
    # `unlimited`: the service itself has stricter limits.
    @router.post("/auth/forgot-password", status_code=202, tags=["Auth"], dependencies=MAILING)
    @unlimited
    async def forgot_password(
        data: ForgotPasswordRequest,
        service: Annotated[PasswordResetService[Any], Depends(recovery.password_resets)],
        client: CurrentClient,
    ) -> SuccessResponse[None]:
        """Request a mail with a link that resets the password.

        The response is the same for every address (account enumeration).
        """
        await service.request(data.email, client)
        return success_response(None, message=MAILED)

    @router.post(
        "/auth/reset-password",
        status_code=204,
        tags=["Auth"],
        responses=problem_responses(BadRequestError, InvalidLinkError),
    )
    @unlimited
    async def reset_password(
        data: ResetPasswordRequest,
        service: Annotated[PasswordResetService[Any], Depends(recovery.password_resets)],
        client: CurrentClient,
    ) -> None:
        """Set a new password by a mailed link, and end all sessions.

        It does not log in. A refused password leaves the link valid.
        """
        await service.reset(data.token, data.password, client)


def _add_verifications(router: Router, recovery: AccountRecovery[Any]) -> None:
    @router.post("/auth/request-verification", status_code=202, tags=["Auth"], dependencies=MAILING)
    async def request_verification(
        principal: CurrentPrincipal,
        service: Annotated[EmailVerificationService[Any], Depends(recovery.verifications)],
        client: CurrentClient,
    ) -> SuccessResponse[None]:
        """Request a mail with a link that verifies the caller's address."""
        await service.request(principal, client)
        return success_response(None, message=MAILED)

    @router.post(
        "/auth/verify-email",
        status_code=204,
        tags=["Auth"],
        # A 409 reveals the other account to a caller who has proved the mailbox of both.
        responses=problem_responses(BadRequestError, InvalidLinkError, EmailTakenError),
    )
    async def verify_email(
        data: VerifyEmailRequest,
        principal: CurrentPrincipal,
        service: Annotated[EmailVerificationService[Any], Depends(recovery.verifications)],
        client: CurrentClient,
    ) -> None:
        """Verify the caller's address by a mailed link, or change it to the link's address.

        It requires a login of the account that requested the link. A change ends other sessions.
        """
        await service.confirm(data.token, principal, client)

    @router.post("/users/me/email", status_code=202, tags=["Users"], dependencies=MAILING)
    async def change_email(
        data: ChangeEmailRequest,
        principal: RecentPrincipal,
        service: Annotated[EmailVerificationService[Any], Depends(recovery.verifications)],
        client: CurrentClient,
    ) -> SuccessResponse[None]:
        """Request a mail with a link that changes the caller's address to this one.

        The response is the same for a taken address (account enumeration).
        """
        await service.request_change(data.email, principal, client)
        return success_response(None, message=MAILED)
