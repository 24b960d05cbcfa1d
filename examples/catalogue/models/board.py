"""A board: a resource shared by several users. Its members read it, its owner changes it."""

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from examples.catalogue.models.base import Base, OwnedMixin
from mscr.models.indexes import living_index


class Board(Base, OwnedMixin):
    __tablename__ = "boards"

    name: Mapped[str] = mapped_column(String(100))


class BoardMember(Base):
    """The association table of boards and users: a child of the board."""

    __tablename__ = "board_members"
    __table_args__ = (
        living_index("uq_board_members_user_id_board_id", "user_id", "board_id", unique=True),
    )

    board_id: Mapped[int] = mapped_column(ForeignKey("boards.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
