"""The example resource: an item with an owner and a status."""

from enum import Enum as PyEnum
from typing import TYPE_CHECKING

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from examples.catalogue.models.base import Base
from mscr.models.base import PublicIdMixin, TimestampMixin, VersionMixin
from mscr.models.enum_type import enum_type
from mscr.models.indexes import deleted_index, living_index

if TYPE_CHECKING:
    from examples.catalogue.models.tag import Tag
    from examples.catalogue.models.user import User


class ItemStatus(str, PyEnum):
    DRAFT = "draft"
    ACTIVE = "active"
    ARCHIVED = "archived"


# The columns that lists filter by, and then sort by.
LISTED_BY = (
    ("owner_id", "created_at"),
    ("owner_id", "updated_at"),
    ("owner_id", "title"),
    ("status", "created_at"),
    ("status", "updated_at"),
    ("status", "title"),
    ("owner_id", "status", "created_at"),
)


class Item(Base, TimestampMixin, PublicIdMixin, VersionMixin):
    __tablename__ = "items"
    __table_args__ = (
        # `public_id` is the tie-breaker, as in lists.
        *(living_index(f"ix_items_{'_'.join(by)}", *by, "public_id") for by in LISTED_BY),
        # An index for prefix matches on the title must not depend on the database's collation.
        living_index(
            "ix_items_title_prefix", "title", postgresql_ops={"title": "text_pattern_ops"}
        ),
        deleted_index("ix_items_owner_id_deleted_at", "owner_id", "deleted_at", "public_id"),
        deleted_index("ix_items_deleted_at", "deleted_at", "public_id"),
    )

    title: Mapped[str] = mapped_column(String(200))
    description: Mapped[str | None] = mapped_column(String(5000))
    status: Mapped[ItemStatus] = mapped_column(
        enum_type(ItemStatus, name="status", length=20),
        default=ItemStatus.DRAFT,
        server_default=ItemStatus.DRAFT.value,
    )
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)

    owner: Mapped["User"] = relationship(back_populates="items", lazy="raise")
    # Written only by `ItemRepository.set_tags`, which also increments the row's version.
    tags: Mapped[list["Tag"]] = relationship(
        secondary="item_tags",
        secondaryjoin="and_(Tag.id == item_tags.c.tag_id, Tag.is_deleted.is_(False))",
        order_by="Tag.name_key",
        viewonly=True,
        lazy="raise",
    )

    @property
    def owner_public_id(self) -> str:
        return self.owner.public_id
