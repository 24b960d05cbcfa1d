from collections.abc import Sequence
from typing import Any, ClassVar

from sqlalchemy import ColumnElement, select

from examples.catalogue.models.board import Board, BoardMember
from examples.catalogue.models.user import User
from mscr.queries.shown_columns import Computed
from mscr.queries.shown_rows import nested_rows
from mscr.repositories.base import BaseRepository
from mscr.repositories.owned_repository import OwnedRepository

_MEMBERS = (
    select(User.public_id)
    .join(BoardMember, BoardMember.user_id == User.id)
    .where(BoardMember.board_id == Board.id)
    .where(BoardMember.is_deleted.is_(False), User.is_deleted.is_(False))
    .order_by(BoardMember.id)
    .correlate(Board)
)


class BoardRepository(OwnedRepository[Board]):
    model = Board
    computed: ClassVar[Computed] = {"members": nested_rows("members", _MEMBERS)}

    def visible_to(self, viewer_id: Any) -> Sequence[ColumnElement[bool]]:
        joined = select(BoardMember.board_id).where(
            BoardMember.user_id == viewer_id, BoardMember.is_deleted.is_(False)
        )
        return Board.owner_id == viewer_id, Board.id.in_(joined)


class BoardMemberRepository(BaseRepository[BoardMember]):
    model = BoardMember
