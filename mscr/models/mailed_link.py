"""Links that were mailed to the owner of an account, and prove the mailbox."""

from datetime import datetime
from enum import Enum as PyEnum
from typing import TYPE_CHECKING, Final

from sqlalchemy import Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from mscr.core.security.mailed_token import DIGEST_LENGTH
from mscr.models.base import BigIntegerKey, ModelBase, UTCDateTime
from mscr.models.enum_type import enum_type

MAX_PURPOSE_LENGTH: Final = 20


class LinkPurpose(str, PyEnum):
    RESET_PASSWORD = "reset_password"  # noqa: S105  # the name of a purpose
    # It proves the account's address, or another one, which then replaces it.
    VERIFY_EMAIL = "verify_email"


def mailed_link_rules(table: str) -> tuple[UniqueConstraint | Index, ...]:
    """Return the constraints: one link for each purpose of an account. A newer one voids it."""
    return (
        UniqueConstraint("user_id", "purpose"),
        UniqueConstraint("digest"),
        Index(f"ix_{table}_expires_at", "expires_at"),
    )


class MailedLinkMixin(ModelBase):
    """One link. Its token is only in the mail: nothing in the database opens it.

    The model adds `user_id`, a foreign key with ON DELETE CASCADE, and `mailed_link_rules()`.
    """

    if TYPE_CHECKING:
        user_id: Mapped[int]

    id: Mapped[int] = mapped_column(BigIntegerKey, primary_key=True, sort_order=-2)
    purpose: Mapped[LinkPurpose] = mapped_column(
        enum_type(LinkPurpose, length=MAX_PURPOSE_LENGTH, constrained=False)
    )
    digest: Mapped[bytes] = mapped_column(LargeBinary(DIGEST_LENGTH))
    email: Mapped[str] = mapped_column(String(320), doc="The address that it was mailed to.")
    auth_version: Mapped[int] = mapped_column(doc="The user's `auth_version` at that time.")
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
