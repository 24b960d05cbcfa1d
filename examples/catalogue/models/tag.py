"""A tag: an owner's word for items. Items and tags have a many-to-many relationship."""

import unicodedata
from typing import TYPE_CHECKING, Final

from sqlalchemy import Column, ForeignKey, Index, String, Table
from sqlalchemy.orm import Mapped, mapped_column, query_expression, relationship

from examples.catalogue.models.base import Base
from mscr.models.base import PublicIdMixin, TimestampMixin, UTCDateTime, VersionMixin
from mscr.models.indexes import living_index

if TYPE_CHECKING:
    from examples.catalogue.models.user import User

NAME_UNIQUE_INDEX: Final = "uq_tags_owner_id_name_key_living"
NAME_LENGTH: Final = 50
# Longer than a name: Unicode normalization can expand one character to several.
NAME_KEY_LENGTH: Final = 100


def tag_key(name: str) -> str:
    """Return the key of a name: names that differ in case only are duplicates."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


# The association table of items and tags. It is no model: its rows have no identity of their own,
# and are inserted and hard-deleted, never soft-deleted.
item_tags: Final = Table(
    "item_tags",
    Base.metadata,
    Column("item_id", ForeignKey("items.id", ondelete="CASCADE"), primary_key=True),
    Column("tag_id", ForeignKey("tags.id", ondelete="CASCADE"), primary_key=True),
    # Copies of the item's columns, which never change: they sort the items of a tag by one index.
    Column("created_at", UTCDateTime, nullable=False),
    Column("public_id", String(36), nullable=False),
    Index("ix_item_tags_tag_id_created_at", "tag_id", "created_at", "public_id"),
)


class Tag(Base, TimestampMixin, PublicIdMixin, VersionMixin):
    __tablename__ = "tags"
    __table_args__ = (
        # Lists of an owner's tags use this index, too.
        living_index(NAME_UNIQUE_INDEX, "owner_id", "name_key", unique=True),
    )

    name: Mapped[str] = mapped_column(String(NAME_LENGTH), doc="As typed, for showing.")
    name_key: Mapped[str] = mapped_column(
        String(NAME_KEY_LENGTH), doc="For looking up; see tag_key()."
    )
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)

    owner: Mapped["User"] = relationship(lazy="raise")
    # Queries that show tags load the count; otherwise it is null.
    item_count: Mapped[int] = query_expression()  # pyright: ignore[reportAssignmentType]
