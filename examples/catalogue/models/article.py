"""An article: a public resource, which everyone reads and its owner changes."""

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from examples.catalogue.models.base import Base, OwnedMixin
from mscr.models.indexes import living_index


class Article(Base, OwnedMixin):
    __tablename__ = "articles"
    # The list of all articles, in its sort order.
    __table_args__ = (living_index("ix_articles_created_at", "created_at", "public_id"),)

    title: Mapped[str] = mapped_column(String(200))
    text: Mapped[str] = mapped_column(String(20_000))
