"""Registering when REGISTRATION_BY_MAIL is on: in two steps, of which the first tells nothing."""

from typing import Annotated, Final

from fastapi import BackgroundTasks, Depends, Request

from app.core.anonymous import unlimited
from app.core.dependencies import CurrentClient, DbSession, collaborators_of
from app.core.exceptions import (
    BadRequestError,
    EmailTakenError,
    InvalidRegistrationTokenError,
    ServiceUnavailableError,
    TooManyRequestsError,
    ValidationFailedError,
)
from app.core.openapi import problem_responses
from app.core.responses import SuccessResponse, success_response
from app.core.routing import Router
from app.mail.message import Mail
from app.repositories.user_repository import UserRepository
from app.routers.dependencies import audit_trail, credential_service
from app.schemas.auth_schemas import ConfirmRegistrationRequest, UserRegister
from app.schemas.user_schemas import UserResponse
from app.services.mail_registration_service import MailRegistrationService

MAILED: Final = "A mail to this address tells how to go on. If none comes, register again."

router = Router(
    prefix="/auth",
    tags=["Auth"],
    responses=problem_responses(
        ValidationFailedError, TooManyRequestsError, ServiceUnavailableError
    ),
)


@unlimited  # what it does is counted more strictly
async def get_service(
    request: Request, db: DbSession, background: BackgroundTasks
) -> MailRegistrationService:
    collaborators = collaborators_of(request)

    def post(mail: Mail) -> None:
        background.add_task(collaborators.mails.post, mail)

    audit = audit_trail(request, db)
    return MailRegistrationService(
        UserRepository(db),
        credential_service(request, db, audit),
        audit,
        tokens=collaborators.registrations,
        post=post,
        attempts=collaborators.attempts,
        settings=collaborators.settings,
    )


Service = Annotated[MailRegistrationService, Depends(get_service)]


@router.post(
    "/register",
    status_code=202,
    operation_id="register",
    summary="Ask for an account; a mailed link creates it",
)
async def register(
    data: UserRegister, service: Service, client: CurrentClient
) -> SuccessResponse[None]:
    """The answer is the same whether the address has an account or not; only the mail differs."""
    await service.request(data, client)
    return success_response(None, message=MAILED)


@router.post(
    "/confirm-registration",
    status_code=201,
    operation_id="confirm_registration",
    summary="Create the account that a mailed link is for",
    # That the address is taken is news to nobody but its owner, who alone has the token.
    responses=problem_responses(BadRequestError, InvalidRegistrationTokenError, EmailTakenError),
)
async def confirm_registration(
    data: ConfirmRegistrationRequest, service: Service, client: CurrentClient
) -> SuccessResponse[UserResponse]:
    """It does not log in: whoever opened the link proved the mailbox, and not yet the password."""
    user = await service.confirm(data.token, client)
    return success_response(UserResponse.model_validate(user))
