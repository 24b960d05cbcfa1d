"""The permissions of each role. Routes name the permission that they need, never the role.

The roles themselves are `UserRole` in `models/user.py`.
"""

from enum import Enum as PyEnum
from typing import Final

from examples.catalogue.models.user import User, UserRole


class Permission(str, PyEnum):
    USERS_READ = "users:read"
    USERS_MANAGE = "users:manage"
    ITEMS_MANAGE = "items:manage"
    AUDIT_READ = "audit:read"
    JOBS_MANAGE = "jobs:manage"


# Shown in the API's documentation, where permissions are the scopes of OAuth2.
DESCRIPTIONS: Final[dict[Permission, str]] = {
    Permission.USERS_READ: "See every account.",
    Permission.USERS_MANAGE: "Activate and deactivate accounts.",
    Permission.ITEMS_MANAGE: "See and change the items of others.",
    Permission.AUDIT_READ: "Read the audit log.",
    Permission.JOBS_MANAGE: "See jobs, retry and delete dead ones.",
}

ROLE_PERMISSIONS: Final[dict[UserRole, frozenset[Permission]]] = {
    UserRole.USER: frozenset(),
    UserRole.ADMIN: frozenset(Permission),
}


def allows(account: User, permission: str) -> bool:
    """Decide whether the caller's account has the permission: `Principal.may()` calls this.

    Raises `ValueError` for an unknown permission.
    """
    # A role without a line above has no permission.
    return Permission(permission) in ROLE_PERMISSIONS.get(account.role, frozenset())


def unverified_may(operation: str) -> bool:  # noqa: ARG001  # everything, until you decide
    """Decide whether an account whose address is not verified may call an operation, by its id.

    It can always verify its address (`mscr/core/security/access_control.py`).
    """
    return True
