"""What was answered to a request with an `Idempotency-Key`, for when it is sent again."""

from datetime import datetime
from typing import Final

from sqlalchemy import JSON, ForeignKey, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, BigIntegerKey

DIGEST_LENGTH: Final = 32


class IdempotencyKey(Base):
    """One row a request that succeeded; `body` may hold whatever the caller was shown."""

    __tablename__ = "idempotency_keys"
    # Of two transactions that did the same all the same, the second cannot commit.
    __table_args__ = (UniqueConstraint("user_id", "operation", "key_digest"),)

    id: Mapped[int] = mapped_column(BigIntegerKey, primary_key=True, sort_order=-2)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    operation: Mapped[str] = mapped_column(String(100))
    key_digest: Mapped[bytes] = mapped_column(LargeBinary(DIGEST_LENGTH))
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary(DIGEST_LENGTH))
    status: Mapped[int]
    headers: Mapped[dict[str, str]] = mapped_column(JSON)
    body: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[datetime] = mapped_column(index=True)
