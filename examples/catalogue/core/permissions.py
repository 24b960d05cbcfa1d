"""The permissions of each role."""

from enum import Enum as PyEnum
from typing import Final

from examples.catalogue.models.user import User, UserRole
from mscr.core.security.access_control import AccessControl


class Permission(str, PyEnum):
    ITEMS_MANAGE = "items:manage"
    AUDIT_READ = "audit:read"


DESCRIPTIONS: Final[dict[Permission, str]] = {
    Permission.ITEMS_MANAGE: "See and change the items of others.",
    Permission.AUDIT_READ: "Read the audit log.",
}


def allows(account: User, permission: str) -> bool:
    """Return whether the account has the permission. Raise `ValueError` if there is none such."""
    return bool(Permission(permission)) and account.role is UserRole.ADMIN


ACCESS: Final = AccessControl(
    policy=allows,
    scopes={permission.value: text for permission, text in DESCRIPTIONS.items()},
    token_path="/api/v1/auth/token",  # noqa: S106  # a path
)
