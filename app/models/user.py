"""The user of an account: a person who can log in."""

from enum import Enum as PyEnum
from typing import Final

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import (
    NOT_PERSONAL,
    PERSONAL,
    Base,
    PublicIdMixin,
    TimestampMixin,
    VersionMixin,
)
from mscr.models.account import AccountMixin, unique_email
from mscr.models.enum_type import enum_type
from mscr.models.indexes import living_index


# A new role also needs its permissions (`app/core/security/permissions.py`), and a migration.
class UserRole(str, PyEnum):
    USER = "user"
    ADMIN = "admin"


# The columns of an administrator. One active administrator must always remain.
ADMINISTRATORS: Final = {"role": UserRole.ADMIN}


class User(Base, AccountMixin, TimestampMixin, PublicIdMixin, VersionMixin):
    __tablename__ = "users"
    __table_args__ = (
        unique_email("uq_users_email_key_living"),
        living_index("ix_users_created_at", "created_at", "public_id"),
    )

    # PERSONAL: the deletion of an account erases the column. Each column says whether it is.
    full_name: Mapped[str | None] = mapped_column(String(200), info=PERSONAL)
    role: Mapped[UserRole] = mapped_column(
        enum_type(UserRole, name="role", length=20),
        default=UserRole.USER,
        server_default=UserRole.USER.value,
        info=NOT_PERSONAL,
    )
