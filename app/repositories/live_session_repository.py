from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncEngine

from app.models.base import UTCDateTime, utcnow
from app.models.refresh_token import RefreshToken
from app.models.user import User, UserRole
from app.repositories.prepared_read import PreparedRead
from app.repositories.refresh_token_repository import LIVE

_LIVE_SESSION: Final = PreparedRead(
    select(RefreshToken.user_id, User.role, RefreshToken.authenticated_at, RefreshToken.writes)
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
    role: UserRole
    authenticated_at: datetime
    writes: int


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
        user_id, role, authenticated_at, writes = row
        return LiveSession(user_id, UserRole(role), authenticated_at, writes)
