"""An article, with its tags."""

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from examples.realworld.models.base import Base, OwnedMixin
from examples.realworld.models.user import User
from mscr.models.indexes import living_index


class ArticleTag(Base):
    __tablename__ = "article_tags"
    __table_args__ = (living_index("ix_article_tags_name", "name", "article_id"),)

    article_id: Mapped[int] = mapped_column(
        ForeignKey("articles.id", ondelete="CASCADE"), index=True
    )
    name: Mapped[str] = mapped_column(String(50))


class Article(Base, OwnedMixin):
    __tablename__ = "articles"
    __table_args__ = (
        # The list of all articles, in its sort order.
        living_index("ix_articles_created_at", "created_at", "public_id"),
        living_index("uq_articles_slug_living", "slug", unique=True),
    )

    slug: Mapped[str] = mapped_column(String(120))
    title: Mapped[str] = mapped_column(String(100))
    description: Mapped[str] = mapped_column(String(500))
    body: Mapped[str] = mapped_column(String(50_000))

    owner: Mapped[User] = relationship(lazy="raise")
    tags: Mapped[list[ArticleTag]] = relationship(order_by=ArticleTag.name, lazy="raise")
