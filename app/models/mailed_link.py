from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base
from mscr.models.mailed_link import MailedLinkMixin, mailed_link_rules


class MailedLink(Base, MailedLinkMixin):
    __tablename__ = "mailed_links"
    __table_args__ = mailed_link_rules("mailed_links")

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
