"""The example resource: an item with an owner and a status."""

from enum import Enum as PyEnum

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, OwnedMixin
from mscr.models.enum_type import enum_type
from mscr.models.indexes import living_index


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


class Item(Base, OwnedMixin):
    __tablename__ = "items"
    __table_args__ = (
        # `public_id` is the tie-breaker, as in lists.
        *(living_index(f"ix_items_{'_'.join(by)}", *by, "public_id") for by in LISTED_BY),
        # An index for prefix matches on the title must not depend on the database's collation.
        living_index(
            "ix_items_title_prefix", "title", postgresql_ops={"title": "text_pattern_ops"}
        ),
    )

    title: Mapped[str] = mapped_column(String(200))
    description: Mapped[str | None] = mapped_column(String(5000))
    status: Mapped[ItemStatus] = mapped_column(
        enum_type(ItemStatus, name="status", length=20),
        default=ItemStatus.DRAFT,
        server_default=ItemStatus.DRAFT.value,
    )
