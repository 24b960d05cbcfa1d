"""Who is calling."""

from dataclasses import dataclass
from datetime import datetime

from app.core.security.jwt import TokenClaims
from app.core.security.permissions import ROLE_PERMISSIONS, Permission
from app.models.user import UserRole


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller, as the token says and as the database confirmed for this request."""

    claims: TokenClaims
    user_id: int
    role: UserRole
    authenticated_at: datetime
    writes: int = 0

    @property
    def public_id(self) -> str:
        return self.claims.sub

    @property
    def session_id(self) -> str:
        return self.claims.sid

    def may(self, permission: Permission) -> bool:
        return permission in ROLE_PERMISSIONS[self.role]
