"""Who is calling."""

from dataclasses import dataclass
from datetime import datetime

from app.core.security.jwt import TokenClaims
from app.core.security.permissions import ROLE_PERMISSIONS, Permission
from app.models.user import UserRole


@dataclass(frozen=True, slots=True)
class Account:
    """What the row of a user said when it was looked up for this request."""

    role: UserRole
    public_id: str
    created_at: datetime
    updated_at: datetime
    version: int
    email: str
    full_name: str | None
    is_active: bool


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller, as the token says and as the database confirmed for this request."""

    claims: TokenClaims
    user_id: int
    account: Account
    authenticated_at: datetime
    writes: int = 0

    @property
    def public_id(self) -> str:
        return self.claims.sub

    @property
    def role(self) -> UserRole:
        return self.account.role

    @property
    def session_id(self) -> str:
        return self.claims.sid

    def may(self, permission: Permission) -> bool:
        return permission in ROLE_PERMISSIONS[self.role]
