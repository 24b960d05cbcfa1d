"""A comment. Its integer key is its id in the contract."""

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from examples.realworld.models.base import Base
from examples.realworld.models.user import User
from mscr.models.base import TimestampMixin


class Comment(Base, TimestampMixin):
    __tablename__ = "comments"

    article_id: Mapped[int] = mapped_column(
        ForeignKey("articles.id", ondelete="CASCADE"), index=True
    )
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    body: Mapped[str] = mapped_column(String(5000))

    owner: Mapped[User] = relationship(lazy="raise")
