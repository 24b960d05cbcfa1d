"""The example resource: something with an owner and a state."""

from enum import Enum as PyEnum
from typing import TYPE_CHECKING

from sqlalchemy import Enum, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.models.base import Base, PublicIdMixin, TimestampMixin, VersionMixin

if TYPE_CHECKING:
    from app.models.user import User


class ItemStatus(str, PyEnum):
    DRAFT = "draft"
    ACTIVE = "active"
    ARCHIVED = "archived"


class Item(Base, TimestampMixin, PublicIdMixin, VersionMixin):
    __tablename__ = "items"
    __table_args__ = (
        Index("ix_items_owner_id_created_at", "owner_id", "created_at", "public_id"),
        Index("ix_items_status_created_at", "status", "created_at", "public_id"),
        # Of deleted rows alone: for the lists of what can be restored.
        Index(
            "ix_items_owner_id_deleted_at",
            "owner_id",
            "deleted_at",
            "public_id",
            sqlite_where=text("is_deleted = 1"),
            postgresql_where=text("is_deleted"),
        ),
        Index(
            "ix_items_deleted_at",
            "deleted_at",
            "public_id",
            sqlite_where=text("is_deleted = 1"),
            postgresql_where=text("is_deleted"),
        ),
    )

    title: Mapped[str] = mapped_column(String(200))
    description: Mapped[str | None] = mapped_column(String(5000))
    status: Mapped[ItemStatus] = mapped_column(
        Enum(
            ItemStatus,
            name="status",
            native_enum=False,
            create_constraint=True,
            length=20,
            values_callable=lambda states: [state.value for state in states],
        ),
        default=ItemStatus.DRAFT,
        server_default=ItemStatus.DRAFT.value,
    )
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))

    owner: Mapped["User"] = relationship(back_populates="items", lazy="raise")

    @property
    def owner_public_id(self) -> str:
        return self.owner.public_id
