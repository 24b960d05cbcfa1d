"""What several routers need: services that serve others, and the two ways to send a login."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, cast

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.dependencies import DbSession, collaborators_of, origin_of
from app.repositories.audit_event_repository import AuditEventRepository
from app.repositories.refresh_token_repository import RefreshTokenRepository
from app.repositories.user_repository import UserRepository
from app.schemas.auth_schemas import LoginRequest, OAuth2Login
from app.services.audit_event_service import AuditTrail
from app.services.credential_service import CredentialService
from app.services.refresh_token_service import RefreshTokenService

FORM_TYPE: Final = "application/x-www-form-urlencoded"
JSON_TYPE: Final = "application/json"
MAX_FORM_FIELDS: Final = 20


# Called by the dependencies that make services, for the reason that app.core.dependencies tells.
def audit_trail(request: Request, db: AsyncSession) -> AuditTrail:
    requests = collaborators_of(request).requests
    return AuditTrail(AuditEventRepository(db), origin_of(request), requests=requests)


def refresh_token_service(
    request: Request, db: AsyncSession, audit: AuditTrail
) -> RefreshTokenService:
    collaborators = collaborators_of(request)
    return RefreshTokenService(
        RefreshTokenRepository(db),
        audit,
        codec=collaborators.refresh_tokens,
        parallel_uses=collaborators.parallel_uses,
        access_tokens=collaborators.access_tokens,
        requests=collaborators.requests,
        settings=collaborators.settings,
    )


def credential_service(request: Request, db: AsyncSession, audit: AuditTrail) -> CredentialService:
    collaborators = collaborators_of(request)
    return CredentialService(
        UserRepository(db),
        audit,
        passwords=collaborators.passwords,
        policy=collaborators.password_policy,
        attempts=collaborators.attempts,
    )


async def get_audit_trail(request: Request, db: DbSession) -> AuditTrail:
    return audit_trail(request, db)


async def get_arrival_time(request: Request) -> datetime:
    """When the request came in, stamped before anything was awaited."""
    return cast("datetime", request.state.arrived_at)


@dataclass(frozen=True, slots=True)
class Login:
    """Credentials, and whether they came as an OAuth2 form."""

    credentials: LoginRequest
    by_form: bool


async def get_login(request: Request) -> Login:
    """Read JSON, or the OAuth2 password form (RFC 6749 §4.3.2) that the docs' button sends."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if media_type == FORM_TYPE:
            form = await request.form(max_fields=MAX_FORM_FIELDS)
            if len(form.multi_items()) > len(form):
                fault = {"type": "repeated_field", "loc": ("body",), "msg": "Send each field once"}
                raise RequestValidationError([fault])
            sent = OAuth2Login.model_validate(dict(form))
            credentials = LoginRequest(email=sent.username, password=sent.password)
            return Login(credentials, by_form=True)
        if media_type != JSON_TYPE:
            fault = {"type": "model_attributes_type", "loc": ("body",), "msg": "No JSON"}
            raise RequestValidationError([fault])
        body = await request.body()
        return Login(LoginRequest.model_validate_json(body), by_form=False)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError(
            [{**fault, "loc": ("body", *fault["loc"])} for fault in faults]
        ) from None


# The body is read by the dependency above, so OpenAPI is told here; it gives the schemas names.
LOGIN_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            JSON_TYPE: {"schema": LoginRequest.model_json_schema()},
            FORM_TYPE: {"schema": OAuth2Login.model_json_schema()},
        },
    }
}

Audit = Annotated[AuditTrail, Depends(get_audit_trail)]
ArrivalTime = Annotated[datetime, Depends(get_arrival_time)]
LoginBody = Annotated[Login, Depends(get_login)]
