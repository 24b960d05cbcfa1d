"""The user of an account: a person who can log in."""

from enum import Enum as PyEnum
from typing import TYPE_CHECKING, Final

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from examples.catalogue.models.base import Base
from mscr.models.account import AccountMixin, unique_email
from mscr.models.base import TimestampMixin, VersionMixin
from mscr.models.enum_type import enum_type
from mscr.models.indexes import living_index
from mscr.models.personal_data import NOT_PERSONAL, PERSONAL

if TYPE_CHECKING:
    from examples.catalogue.models.item import Item


class UserRole(str, PyEnum):
    USER = "user"
    ADMIN = "admin"


# The columns of an administrator. One active administrator must always remain.
ADMINISTRATORS: Final = {"role": UserRole.ADMIN}


class User(Base, AccountMixin, TimestampMixin, VersionMixin):
    __tablename__ = "users"
    __table_args__ = (
        unique_email("uq_users_email_key_living"),
        living_index("ix_users_created_at", "created_at", "public_id"),
    )

    full_name: Mapped[str | None] = mapped_column(String(200), info=PERSONAL)
    # A column that the users of `app/` do not have: each application has its own.
    affiliation: Mapped[str | None] = mapped_column(
        String(200), doc="The library or shop that the person works for.", info=PERSONAL
    )
    role: Mapped[UserRole] = mapped_column(
        enum_type(UserRole, name="role", length=20),
        default=UserRole.USER,
        server_default=UserRole.USER.value,
        info=NOT_PERSONAL,
    )

    items: Mapped[list["Item"]] = relationship(back_populates="owner", lazy="raise")
