"""The columns of the table of users that authentication needs."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Index, String, text, true
from sqlalchemy.orm import Mapped, mapped_column

from mscr.models.base import ModelBase, PublicIdMixin, UTCDateTime
from mscr.models.personal_data import NOT_PERSONAL, PERSONAL, erased_as

# No hash: no password verifies against it.
UNUSABLE_PASSWORD_HASH: Final = "!"  # noqa: S105  # as above


def unique_email(name: str) -> Index:
    """Return a unique index on living rows only: a deleted account's address is free again."""
    return Index(
        name,
        "email_key",
        unique=True,
        sqlite_where=text("NOT is_deleted"),
        postgresql_where=text("NOT is_deleted"),
    )


def _erased_address(user: Any) -> Any:
    return user.public_id + "@deleted.invalid"


class AccountMixin(PublicIdMixin, ModelBase):
    """Columns of an account. The model must add `unique_email()` to its `__table_args__`.

    Columns that the application adds have `sort_order` 0 by default: they come first in a table
    that is created from the models.
    """

    email: Mapped[str] = mapped_column(
        String(320),
        doc="As typed, for sending to.",
        sort_order=1,
        info=erased_as(_erased_address),
    )
    email_key: Mapped[str] = mapped_column(
        String(320),
        doc="For looking up; see email_key.py.",
        sort_order=1,
        info=erased_as(_erased_address),
    )
    email_verified_at: Mapped[datetime | None] = mapped_column(
        UTCDateTime,
        doc="When the mailbox of `email` was proved; null if it never was.",
        sort_order=2,
        info=PERSONAL,
    )
    password_hash: Mapped[str] = mapped_column(
        String(255), sort_order=3, info=erased_as(UNUSABLE_PASSWORD_HASH)
    )
    is_active: Mapped[bool] = mapped_column(
        default=True, server_default=true(), sort_order=5, info=NOT_PERSONAL
    )
    auth_version: Mapped[int] = mapped_column(
        default=1,
        server_default="1",
        doc="Raised to end every session at once.",
        sort_order=5,
        info=NOT_PERSONAL,
    )
