from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import Field

from app.models.refresh_token import RefreshToken
from app.schemas.base import ResponseSchema


class SessionResponse(ResponseSchema):
    """One login, as its owner sees it. Address and user agent are those of the last refresh."""

    public_id: UUID
    current: bool = Field(description="Whether this request came with it.")
    address: str | None = Field(examples=["203.0.113.7"])
    user_agent: str | None = Field(examples=["Mozilla/5.0 (X11; Linux x86_64) Firefox/152.0"])
    created_at: datetime = Field(description="When somebody logged in.")
    last_used_at: datetime = Field(description="When it was last refreshed.")
    expires_at: datetime = Field(description="When it ends unless it is refreshed before.")

    @classmethod
    def of(cls, session: RefreshToken, *, current: str) -> Self:
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
