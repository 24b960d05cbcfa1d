from typing import Final

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from examples.realworld.models.base import Base
from mscr.models.account import AccountMixin, unique_email
from mscr.models.base import TimestampMixin, VersionMixin
from mscr.models.indexes import living_index
from mscr.models.personal_data import PERSONAL, erased_as

USERNAME_UNIQUE: Final = "uq_users_username_living"


class User(Base, AccountMixin, TimestampMixin, VersionMixin):
    __tablename__ = "users"
    __table_args__ = (
        unique_email("uq_users_email_key_living"),
        living_index(USERNAME_UNIQUE, "username", unique=True),
    )

    username: Mapped[str] = mapped_column(String(50), info=erased_as(lambda row: row.public_id))
    bio: Mapped[str | None] = mapped_column(String(2000), info=PERSONAL)
    image: Mapped[str | None] = mapped_column(String(2000), info=PERSONAL)
