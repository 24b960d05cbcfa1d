from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import Field

from mscr.models.refresh_token import RefreshTokenMixin
from mscr.schemas.base import ResponseSchema


class SessionResponse(ResponseSchema):
    """A session, as its user sees it. Address and user agent are those of the last refresh."""

    public_id: UUID
    current: bool = Field(description="Whether this is the session of the request.")
    address: str | None = Field(examples=["203.0.113.7"])
    user_agent: str | None = Field(examples=["Mozilla/5.0 (X11; Linux x86_64) Firefox/152.0"])
    created_at: datetime = Field(description="Time of the login.")
    last_used_at: datetime = Field(description="Time of the last refresh.")
    expires_at: datetime = Field(
        description="Time at which the session ends unless it is refreshed."
    )

    @classmethod
    def of(cls, session: RefreshTokenMixin, *, current: str) -> Self:
        """`current` is the session id of the caller's access token."""
        return cls(
            public_id=UUID(session.public_id),
            current=session.public_id == current,
            address=session.address,
            user_agent=session.user_agent,
            created_at=session.created_at,
            last_used_at=session.rotated_at,
            expires_at=session.idle_expires_at,
        )
