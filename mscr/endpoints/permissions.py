"""Authorization of callers: permissions, and routes that need a recently proved password."""

from collections.abc import Callable
from datetime import UTC, datetime
from enum import Enum
from typing import Annotated, Any, Final, Literal, TypeVar

from fastapi import Depends, Request, Security
from fastapi.security import SecurityScopes

from mscr.core.exceptions import MissingPermissionError, ReauthenticationRequiredError
from mscr.core.security.principal import Principal
from mscr.endpoints.audit import note_refusal
from mscr.endpoints.callers import get_principal
from mscr.endpoints.requests import collaborators_of
from mscr.http.request_parameters import documents

EndpointT = TypeVar("EndpointT", bound=Callable[..., Any])
Sharing = Literal["everyone", "permitted", "visible"]

_SHARED: Final[dict[Any, Sharing]] = {}


async def get_permitted_principal(
    request: Request,
    required: SecurityScopes,
    principal: Annotated[Principal, Depends(get_principal)],
) -> Principal:
    """Return the caller if their role has every permission of the route.

    Use it through `require_permission`, which names one. Raises `MissingPermissionError`.
    """
    if not required.scopes:
        # Fail closed: a forgotten permission must not admit every caller.
        raise TypeError(
            "a route with a permission check names no permission: use require_permission()"
        )
    if not all(principal.may(scope) for scope in required.scopes):
        await note_refusal(request, principal, "permission_missing")
        raise MissingPermissionError(required.scopes)
    return principal


def require_permission(permission: Enum) -> Any:
    """Annotate a `Principal` that has the permission, which OpenAPI shows as a scope.

    The permission is a member of the application's `str` enum.

    Usage: `UserReader = Annotated[Principal, require_permission(Permission.USERS_READ)]`.
    """
    return Security(get_permitted_principal, scopes=[permission.value])


@documents((), errors=(ReauthenticationRequiredError,))
async def get_recent_principal(
    request: Request, principal: Annotated[Principal, Depends(get_principal)]
) -> Principal:
    """Return the caller. Raises `ReauthenticationRequiredError` after too old a password check."""
    age = datetime.now(UTC) - principal.authenticated_at
    if age > collaborators_of(request).settings.recent_authentication:
        await note_refusal(request, principal, ReauthenticationRequiredError.code)
        raise ReauthenticationRequiredError
    return principal


RecentPrincipal = Annotated[Principal, Depends(get_recent_principal)]


def shared(permission: Enum | None = None) -> Callable[[EndpointT], EndpointT]:
    """Declare that a route may use another user's object: for all users, or with a permission.

    Warning: this changes nothing, the service decides. The tests of all routes read it: without it,
    they require that another user's object is 404.

    Usage: `@shared(Permission.LOANS_MANAGE)` below `@router.get("/{public_id}")`.
    """

    def declare(endpoint: EndpointT) -> EndpointT:
        _SHARED[endpoint] = "everyone" if permission is None else "permitted"
        return endpoint

    return declare


def visible(endpoint: EndpointT) -> EndpointT:
    """Declare that a route refuses another user's object with 403 instead of 404.

    For objects that others may see, and a contract that dictates this status. Warning: this changes
    nothing, the service decides. The tests of all routes read it.
    """
    _SHARED[endpoint] = "visible"
    return endpoint


def sharing_of(endpoint: Any) -> Sharing | None:
    """Return who may use another user's object on a route: nobody is None."""
    return _SHARED.get(endpoint)
