"""The form of the OAuth2 password grant (RFC 6749 §4.3)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final

from fastapi import Depends, Request, Response
from pydantic import ValidationError

from mscr.core.exceptions import (
    InvalidCredentialsError,
    InvalidGrantError,
    InvalidTokenRequestError,
    UnsupportedGrantTypeError,
    UnsupportedMediaTypeError,
)
from mscr.http.forms import FormUnreadableError, read_form
from mscr.http.media_types import FORM_TYPE, text_media_type
from mscr.schemas.auth_schemas import PASSWORD_GRANT, LoginRequest, OAuth2Login
from mscr.schemas.problem_schemas import field_problems

# The errors of the route, beside those of every login.
GRANT_ERRORS: Final = (
    InvalidTokenRequestError,
    UnsupportedGrantTypeError,
    InvalidGrantError,
    UnsupportedMediaTypeError,
)
# `openapi_extra=` of the route. FastAPI does not see that `read_password_form` reads the body.
PASSWORD_FORM: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {FORM_TYPE: {"schema": OAuth2Login.model_json_schema()}},
    }
}


async def read_password_form(request: Request) -> LoginRequest:
    """Return the credentials of the form.

    Raises `UnsupportedMediaTypeError`, `InvalidTokenRequestError` and `UnsupportedGrantTypeError`.
    """
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


@contextmanager
def granting(response: Response) -> Iterator[None]:
    """Raise `InvalidGrantError` for wrong credentials, and keep caches from storing the tokens."""
    try:
        yield
    except InvalidCredentialsError:
        raise InvalidGrantError from None
    # RFC 6749 §5.1. Cache-Control: no-store is on every response.
    response.headers["Pragma"] = "no-cache"


PasswordForm = Annotated[LoginRequest, Depends(read_password_form)]
