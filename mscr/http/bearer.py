"""Access tokens in requests (RFC 6750), and their scheme in OpenAPI."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Generic, TypeVar

from fastapi import Request, Response
from fastapi.security import OAuth2PasswordBearer
from fastapi.security.base import SecurityBase

T = TypeVar("T")

# `document_scheme` completes it: the URL and the scopes belong to an application.
_SCHEME: Final = OAuth2PasswordBearer(
    tokenUrl="",
    refreshUrl=None,
    auto_error=False,
    description="Log in with the email address as the user name. Tokens expire after minutes.",
)
SCHEME_NAME: Final = _SCHEME.scheme_name


class BearerDependency(SecurityBase, Generic[T]):
    """Decorate a dependency that reads the bearer token: OpenAPI shows its routes as locked.

    If the scheme were a dependency of its own, FastAPI would walk it, and those in between, once
    more for each dependency that needs the caller.
    """

    def __init__(self, call: Callable[[Request], Awaitable[T]]) -> None:
        self.model = _SCHEME.model
        self.scheme_name = SCHEME_NAME
        self._call = call

    async def __call__(self, request: Request) -> T:
        return await self._call(request)


class OptionalBearerDependency(BearerDependency[T]):
    """Decorate a dependency that also lets in requests without credentials, and returns for both.

    OpenAPI shows that its routes accept a token and require none. Responses vary by it.
    """

    # A cache that an application allows must not give a user's response to others.
    async def __call__(self, request: Request, response: Response) -> T:  # type: ignore[override]  # FastAPI reads the parameters
        response.headers.add_vary_header("Authorization")
        return await self._call(request)


def has_credentials(request: Request) -> bool:
    """Return whether the request has credentials, valid or not, of any scheme."""
    return "authorization" in request.headers


def allow_anonymous(operation: dict[str, Any]) -> None:
    """Document that an operation with a scheme also accepts requests without credentials."""
    operation["security"] = [{}, *operation["security"]]


def document_scheme(schema: dict[str, Any], *, token_path: str, scopes: Mapping[str, str]) -> None:
    """Add the application's token URL and permissions to the scheme in its document."""
    scheme = schema["components"].get("securitySchemes", {}).get(SCHEME_NAME)
    if scheme is not None:
        # Permissions come from the account's role: clients do not request scopes.
        scheme["flows"]["password"].update(scopes=dict(scopes), tokenUrl=token_path)


def bearer_token(request: Request) -> str:
    """Return the bearer token, or an empty string if there is none."""
    sent = request.headers.getlist("authorization")
    if len(sent) > 1:
        # Joined as HTTP does it, which is no valid token: a proxy may have checked either one.
        return ", ".join(sent)
    scheme, _, token = sent[0].partition(" ") if sent else ("", "", "")
    return token.strip() if scheme.lower() == "bearer" else ""
