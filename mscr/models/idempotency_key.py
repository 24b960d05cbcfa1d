"""Stored responses of requests with an `Idempotency-Key`, for their repetitions."""

from datetime import datetime
from typing import TYPE_CHECKING, Final

from sqlalchemy import JSON, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from mscr.models.base import BigIntegerKey, ModelBase, UTCDateTime

DIGEST_LENGTH: Final = 32


class IdempotencyKeyMixin(ModelBase):
    """One row for each request that succeeded. `body` may have anything that the caller may see.

    The model adds `user_id`, a foreign key with ON DELETE CASCADE, and a unique constraint. If two
    transactions process the same request in spite of the lock, the second one cannot commit.
    """

    if TYPE_CHECKING:
        user_id: Mapped[int]

    id: Mapped[int] = mapped_column(BigIntegerKey, primary_key=True, sort_order=-2)
    operation: Mapped[str] = mapped_column(String(100))
    key_digest: Mapped[bytes] = mapped_column(LargeBinary(DIGEST_LENGTH))
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary(DIGEST_LENGTH))
    status: Mapped[int] = mapped_column()
    headers: Mapped[dict[str, str]] = mapped_column(JSON)
    body: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
