"""A login, which is a family of refresh tokens of which only the newest is good.

One row a login, changed in place at each rotation: the table grows with logins, not refreshes.
"""

from datetime import datetime
from enum import Enum as PyEnum

from sqlalchemy import BigInteger, ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, BigIntegerKey, PublicIdMixin, TimestampMixin, utcnow


class RevocationReason(str, PyEnum):
    LOGOUT = "logout"
    REUSE = "reuse"
    ENDED_BY_OWNER = "ended_by_owner"
    SESSION_LIMIT = "session_limit"
    ENDED_BY_OPERATOR = "ended_by_operator"


class RefreshToken(Base, TimestampMixin, PublicIdMixin):
    """`public_id` is the session's id: the `sid` claim of its access tokens."""

    __tablename__ = "refresh_tokens"

    id: Mapped[int] = mapped_column(BigIntegerKey, primary_key=True, sort_order=-2)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    seed: Mapped[bytes] = mapped_column(
        LargeBinary(32), doc="Random. Useless for making tokens without the application's key."
    )
    generation: Mapped[int] = mapped_column(default=0, server_default="0")
    auth_version: Mapped[int] = mapped_column(doc="The user's, as it was at login.")
    address: Mapped[str | None] = mapped_column(String(64))
    user_agent: Mapped[str | None] = mapped_column(String(200))
    authenticated_at: Mapped[datetime] = mapped_column(
        default=utcnow, doc="When the password was last proved in this session."
    )
    rotated_at: Mapped[datetime] = mapped_column(default=utcnow)
    answered_at: Mapped[datetime | None] = mapped_column(
        default=utcnow, doc="When the newest token was first handed out; null until then."
    )
    expires_at: Mapped[datetime] = mapped_column(doc="Absolute: no rotation moves it.")
    idle_expires_at: Mapped[datetime]
    writes: Mapped[int] = mapped_column(
        BigInteger,
        default=0,
        server_default="0",
        doc="Counted with a replica: app/db/own_writes.py.",
    )
    revoked_at: Mapped[datetime | None] = mapped_column(index=True)
    revoked_reason: Mapped[str | None] = mapped_column(String(40))
