"""Access tokens in requests (RFC 6750), and how OpenAPI tells of them."""

from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

from fastapi import Request
from fastapi.security import OAuth2PasswordBearer
from fastapi.security.base import SecurityBase

from app.core.security.permissions import DESCRIPTIONS

T = TypeVar("T")

TOKEN_PATH: Final = "/api/v1/auth/token"  # noqa: S105  # a path, not a secret

# Permissions are those of the account's role: a client does not ask for them.
_SCHEME: Final = OAuth2PasswordBearer(
    tokenUrl=TOKEN_PATH,
    refreshUrl=None,
    auto_error=False,
    description="Log in with the email address as the user name; tokens last for minutes.",
    scopes={permission.value: text for permission, text in DESCRIPTIONS.items()},
)


class BearerDependency(SecurityBase, Generic[T]):
    """Decorates a dependency that a request's token decides upon: OpenAPI shows routes as locked.

    With the scheme as a dependency of its own, and others in between, each request would walk them
    once more for whatever asks who is calling.
    """

    def __init__(self, call: Callable[[Request], Awaitable[T]]) -> None:
        self.model = _SCHEME.model
        self.scheme_name = _SCHEME.scheme_name
        self._call = call

    async def __call__(self, request: Request) -> T:
        return await self._call(request)


def bearer_token(request: Request) -> str:
    """The token, or what is none. It is empty for a request without."""
    sent = request.headers.getlist("authorization")
    if len(sent) > 1:
        # One value, as HTTP has it, and no token: a proxy in front may have looked at either.
        return ", ".join(sent)
    scheme, _, token = sent[0].partition(" ") if sent else ("", "", "")
    return token.strip() if scheme.lower() == "bearer" else ""
