"""The OAuth2 password form, which both transports exchange for tokens (RFC 6749 §4.3)."""

from typing import Annotated, Any, Final

from fastapi import Depends, Request, Response
from pydantic import ValidationError

from app.core.dependencies import CurrentClient
from app.core.exceptions import (
    InvalidCredentialsError,
    InvalidGrantError,
    InvalidTokenRequestError,
    TooManyRequestsError,
    UnsupportedGrantTypeError,
    UnsupportedMediaTypeError,
)
from app.core.forms import FormUnreadableError, read_form
from app.core.media_types import FORM_TYPE, text_media_type
from app.core.openapi import problem_responses
from app.core.problems import field_problems
from app.routers import auth
from app.schemas.auth_schemas import PASSWORD_GRANT, LoginRequest, OAuth2Login
from app.services.refresh_token_service import IssuedTokens

# The keyword arguments of the route, in either transport.
TOKEN_ROUTE: Final[dict[str, Any]] = {
    "tags": ["Auth"],
    "operation_id": "create_token",
    "summary": "Log in with an OAuth2 password form",
    "responses": problem_responses(
        InvalidTokenRequestError,
        UnsupportedGrantTypeError,
        InvalidGrantError,
        UnsupportedMediaTypeError,
        TooManyRequestsError,
    ),
    # The dependency below reads the body, so FastAPI does not know of it.
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {FORM_TYPE: {"schema": OAuth2Login.model_json_schema()}},
        }
    },
}


async def get_credentials(request: Request) -> LoginRequest:
    """Read the form. Raises what `TOKEN_ROUTE` documents."""
    if text_media_type(request.headers.get("content-type", "")) != FORM_TYPE:
        raise UnsupportedMediaTypeError(f"Send {FORM_TYPE}, in UTF-8.")
    try:
        fields = read_form(await request.body())
    except FormUnreadableError as error:
        raise InvalidTokenRequestError(f"{error}.") from None
    if fields.get("grant_type", PASSWORD_GRANT) != PASSWORD_GRANT:
        raise UnsupportedGrantTypeError
    try:
        sent = OAuth2Login.model_validate(fields)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        located = [{**fault, "loc": ("body", *fault["loc"])} for fault in faults]
        raise InvalidTokenRequestError(errors=field_problems(located)) from None
    return LoginRequest(email=sent.username, password=sent.password)


async def get_granted_tokens(
    credentials: Annotated[LoginRequest, Depends(get_credentials)],
    service: auth.Service,
    client: CurrentClient,
    response: Response,
) -> IssuedTokens:
    """Log in as `login` does: the same limits, timing and audit events."""
    try:
        tokens = await service.login(credentials, client)
    except InvalidCredentialsError:
        raise InvalidGrantError from None
    # RFC 6749 §5.1. Cache-Control: no-store is on every response.
    response.headers["Pragma"] = "no-cache"
    return tokens


GrantedTokens = Annotated[IssuedTokens, Depends(get_granted_tokens)]
