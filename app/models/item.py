"""The example resource: something with an owner and a state."""

from enum import Enum as PyEnum
from typing import TYPE_CHECKING

from sqlalchemy import Enum, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.models.base import Base, PublicIdMixin, TimestampMixin, VersionMixin

if TYPE_CHECKING:
    from app.models.tag import Tag
    from app.models.user import User


class ItemStatus(str, PyEnum):
    DRAFT = "draft"
    ACTIVE = "active"
    ARCHIVED = "archived"


# What lists are restricted to, and then sorted by.
LISTED_BY = (
    ("owner_id", "created_at"),
    ("owner_id", "updated_at"),
    ("owner_id", "title"),
    ("status", "created_at"),
    ("status", "updated_at"),
    ("status", "title"),
    ("owner_id", "status", "created_at"),
)


def _list_index(*columns: str) -> Index:
    """Of the living: no page has to step over deleted rows. It breaks ties as lists do."""
    return Index(
        f"ix_items_{'_'.join(columns)}",
        *columns,
        "public_id",
        # The words of the queries themselves: SQLite compares text.
        sqlite_where=text("is_deleted IS 0"),
        postgresql_where=text("is_deleted IS false"),
    )


class Item(Base, TimestampMixin, PublicIdMixin, VersionMixin):
    __tablename__ = "items"
    __table_args__ = (
        *(_list_index(*columns) for columns in LISTED_BY),
        # Whatever the locale sorts by: this is for the beginning of a title.
        Index(
            "ix_items_title_prefix",
            "title",
            postgresql_ops={"title": "text_pattern_ops"},
            sqlite_where=text("is_deleted IS 0"),
            postgresql_where=text("is_deleted IS false"),
        ),
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
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)

    owner: Mapped["User"] = relationship(back_populates="items", lazy="raise")
    # Written by `ItemRepository.set_tags`, which the row's version has to know of.
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
