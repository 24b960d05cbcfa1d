from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.security.principal import Account
from app.models.base import UTCDateTime, utcnow
from app.models.refresh_token import RefreshToken
from app.models.user import User, UserRole
from app.repositories.prepared_statement import PreparedStatement
from app.repositories.token_rotation import LIVE

_LIVE_SESSION: Final = PreparedStatement(
    select(
        RefreshToken.user_id,
        RefreshToken.authenticated_at,
        RefreshToken.writes,
        User.role,
        User.public_id,
        User.created_at,
        User.updated_at,
        User.version,
        User.email,
        User.full_name,
        User.is_active,
    )
    .join(User, User.id == RefreshToken.user_id)
    .where(
        RefreshToken.public_id == bindparam("session_id"),
        User.public_id == bindparam("user_public_id"),
        RefreshToken.expires_at > bindparam("now", type_=UTCDateTime()),
        *LIVE,
    )
)


@dataclass(frozen=True, slots=True)
class LiveSession:
    """Who is behind a session that is still good."""

    user_id: int
    authenticated_at: datetime
    writes: int
    account: Account


class LiveSessionRepository:
    """The one query of every authenticated request, on the primary: what must be true now."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def find(self, *, session_id: str, user_public_id: str) -> LiveSession | None:
        """Both ids are public."""
        row = await _LIVE_SESSION.one_or_none(
            self._engine, session_id=session_id, user_public_id=user_public_id, now=utcnow()
        )
        if row is None:
            return None
        user_id, authenticated_at, writes, role, *shown = row
        account = Account(UserRole(role), *shown)
        return LiveSession(user_id, authenticated_at, writes, account)
