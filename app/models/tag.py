"""A word that an owner files items under: many items have it, and an item has many."""

import unicodedata
from typing import TYPE_CHECKING, Final

from sqlalchemy import Column, ForeignKey, Index, String, Table, text
from sqlalchemy.orm import Mapped, mapped_column, query_expression, relationship

from app.models.base import Base, PublicIdMixin, TimestampMixin, UTCDateTime, VersionMixin

if TYPE_CHECKING:
    from app.models.user import User

NAME_UNIQUE_INDEX: Final = "uq_tags_owner_id_name_key_living"
NAME_LENGTH: Final = 50
# Longer than a name: of some signs, the compatible form is several.
NAME_KEY_LENGTH: Final = 100


def tag_key(name: str) -> str:
    """The form in which a name is one tag, whatever its capitals."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


# Which item has which tag. No row has an identity of its own, so it is a table and no model: links
# are written and removed, never soft-deleted.
item_tags: Final = Table(
    "item_tags",
    Base.metadata,
    Column("item_id", ForeignKey("items.id", ondelete="CASCADE"), primary_key=True),
    Column("tag_id", ForeignKey("tags.id", ondelete="CASCADE"), primary_key=True),
    # The item's, which never change: so that the items of a tag can be read in their order.
    Column("created_at", UTCDateTime, nullable=False),
    Column("public_id", String(36), nullable=False),
    Index("ix_item_tags_tag_id_created_at", "tag_id", "created_at", "public_id"),
)


class Tag(Base, TimestampMixin, PublicIdMixin, VersionMixin):
    __tablename__ = "tags"
    __table_args__ = (
        # Among the living, and in the words of the queries: lists of an owner's tags use it too.
        Index(
            NAME_UNIQUE_INDEX,
            "owner_id",
            "name_key",
            unique=True,
            sqlite_where=text("is_deleted IS 0"),
            postgresql_where=text("is_deleted IS false"),
        ),
    )

    name: Mapped[str] = mapped_column(String(NAME_LENGTH), doc="As typed, for showing.")
    name_key: Mapped[str] = mapped_column(
        String(NAME_KEY_LENGTH), doc="For looking up; see tag_key()."
    )
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)

    owner: Mapped["User"] = relationship(lazy="raise")
    item_count: Mapped[int] = query_expression()
