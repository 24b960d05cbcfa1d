"""A session: one login of one user on one device, with its family of refresh tokens.

Only the newest token of a family is valid. Each session is one row, and a rotation changes it in
place: the table grows with logins, not with refreshes.
"""

from datetime import datetime
from enum import Enum as PyEnum
from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from mscr.models.base import (
    BigIntegerKey,
    ModelBase,
    PublicIdMixin,
    TimestampMixin,
    UTCDateTime,
    utcnow,
)
from mscr.models.enum_type import enum_type


class RevocationReason(str, PyEnum):
    LOGOUT = "logout"
    REUSE = "reuse"
    ENDED_BY_OWNER = "ended_by_owner"
    SESSION_LIMIT = "session_limit"
    ENDED_BY_OPERATOR = "ended_by_operator"


class RefreshTokenMixin(TimestampMixin, PublicIdMixin, ModelBase):
    """Columns of a session. Its `public_id` is the `sid` claim of its access tokens.

    The model adds `user_id`, a foreign key with ON DELETE CASCADE, and an index on it.
    """

    if TYPE_CHECKING:
        user_id: Mapped[int]

    id: Mapped[int] = mapped_column(BigIntegerKey, primary_key=True, sort_order=-2)
    seed: Mapped[bytes] = mapped_column(
        LargeBinary(32), doc="Random. It cannot make tokens without the application's key."
    )
    generation: Mapped[int] = mapped_column(default=0, server_default="0")
    auth_version: Mapped[int] = mapped_column(doc="The user's `auth_version` at login.")
    address: Mapped[str | None] = mapped_column(String(64))
    user_agent: Mapped[str | None] = mapped_column(String(200))
    authenticated_at: Mapped[datetime] = mapped_column(
        UTCDateTime, default=utcnow, doc="When the password was last proved in this session."
    )
    rotated_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)
    answered_at: Mapped[datetime | None] = mapped_column(
        UTCDateTime,
        default=utcnow,
        doc="When the newest token was first handed out; null until then.",
    )
    expires_at: Mapped[datetime] = mapped_column(
        UTCDateTime, doc="Absolute: rotation does not extend it."
    )
    idle_expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    writes: Mapped[int] = mapped_column(
        BigInteger,
        default=0,
        server_default="0",
        doc="Counted with a replica: mscr/db/replica.py.",
    )
    revoked_at: Mapped[datetime | None] = mapped_column(UTCDateTime, index=True)
    revoked_reason: Mapped[RevocationReason | None] = mapped_column(
        enum_type(RevocationReason, length=40, constrained=False)
    )
