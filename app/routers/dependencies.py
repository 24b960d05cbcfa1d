"""What several routers need: services that serve others, and the two ways to send a login."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, cast

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from app.core.dependencies import AppCollaborators, CurrentOrigin, DbSession
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


async def get_audit_trail(
    db: DbSession, origin: CurrentOrigin, collaborators: AppCollaborators
) -> AuditTrail:
    return AuditTrail(AuditEventRepository(db), origin, requests=collaborators.requests)


Audit = Annotated[AuditTrail, Depends(get_audit_trail)]


async def get_refresh_token_service(
    db: DbSession, audit: Audit, collaborators: AppCollaborators
) -> RefreshTokenService:
    return RefreshTokenService(
        RefreshTokenRepository(db),
        audit,
        codec=collaborators.refresh_tokens,
        parallel_uses=collaborators.parallel_uses,
        access_tokens=collaborators.access_tokens,
        requests=collaborators.requests,
        settings=collaborators.settings,
    )


async def get_credential_service(
    db: DbSession, audit: Audit, collaborators: AppCollaborators
) -> CredentialService:
    return CredentialService(
        UserRepository(db),
        audit,
        passwords=collaborators.passwords,
        policy=collaborators.password_policy,
        attempts=collaborators.attempts,
    )


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


# The body is read by the dependency above, so OpenAPI is told here.
LOGIN_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            JSON_TYPE: {"schema": LoginRequest.model_json_schema()},
            FORM_TYPE: {"schema": OAuth2Login.model_json_schema()},
        },
    }
}

Credentials = Annotated[CredentialService, Depends(get_credential_service)]
RefreshTokens = Annotated[RefreshTokenService, Depends(get_refresh_token_service)]
ArrivalTime = Annotated[datetime, Depends(get_arrival_time)]
LoginBody = Annotated[Login, Depends(get_login)]
