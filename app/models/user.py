"""A person who can log in."""

from enum import Enum as PyEnum
from typing import TYPE_CHECKING

from sqlalchemy import Enum, Index, String, text, true
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.models.base import Base, PublicIdMixin, TimestampMixin, VersionMixin

if TYPE_CHECKING:
    from app.models.item import Item

EMAIL_UNIQUE_INDEX = "uq_users_email_key_living"
PUBLIC_ID_UNIQUE_INDEX = "ix_users_public_id"


class UserRole(str, PyEnum):
    USER = "user"
    ADMIN = "admin"


class User(Base, TimestampMixin, PublicIdMixin, VersionMixin):
    __tablename__ = "users"
    __table_args__ = (
        # Among the living only, so that a deleted account's address is free again.
        Index(
            EMAIL_UNIQUE_INDEX,
            "email_key",
            unique=True,
            sqlite_where=text("NOT is_deleted"),
            postgresql_where=text("NOT is_deleted"),
        ),
        # For the list; the words are those of its query, which SQLite compares.
        Index(
            "ix_users_created_at",
            "created_at",
            "public_id",
            sqlite_where=text("is_deleted IS 0"),
            postgresql_where=text("is_deleted IS false"),
        ),
    )

    email: Mapped[str] = mapped_column(String(320), doc="As typed, for sending to.")
    email_key: Mapped[str] = mapped_column(String(320), doc="For looking up; see email_key.py.")
    full_name: Mapped[str | None] = mapped_column(String(200))
    password_hash: Mapped[str] = mapped_column(String(255))
    role: Mapped[UserRole] = mapped_column(
        Enum(
            UserRole,
            name="role",
            native_enum=False,
            create_constraint=True,
            length=20,
            values_callable=lambda roles: [role.value for role in roles],
        ),
        default=UserRole.USER,
        server_default=UserRole.USER.value,
    )
    is_active: Mapped[bool] = mapped_column(default=True, server_default=true())
    auth_version: Mapped[int] = mapped_column(
        default=1, server_default="1", doc="Raised to end every session at once."
    )

    items: Mapped[list["Item"]] = relationship(back_populates="owner", lazy="raise")

    @property
    def is_admin(self) -> bool:
        return self.role is UserRole.ADMIN
