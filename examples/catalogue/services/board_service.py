from uuid import UUID

from examples.catalogue.models.board import Board
from examples.catalogue.repositories.board_repository import BoardMemberRepository, BoardRepository
from examples.catalogue.repositories.user_repository import UserRepository
from examples.catalogue.schemas.board_schemas import BoardResponse
from mscr.core.exceptions import NotFoundError
from mscr.models.base import utcnow
from mscr.queries.shown_rows import ShownRow
from mscr.services.owned_service import OwnedService


class BoardService(OwnedService[Board]):
    """The boards of the caller, and those that the caller is a member of."""

    repository = BoardRepository
    response = BoardResponse

    async def add_member(self, public_id: UUID, user_public_id: UUID) -> ShownRow:
        """Let a user read the board. Raises `NotFoundError` for an unknown user."""
        board = await self.lock(public_id)
        user = await UserRepository(self.repo.session).get_by_public_id(user_public_id)
        if user is None:
            raise NotFoundError
        members = BoardMemberRepository(self.repo.session)
        if not await members.exists(board_id=board.id, user_id=user.id):
            await members.create(board_id=board.id, user_id=user.id)
        return await self.save(board, updated_at=utcnow())

    async def remove_member(self, public_id: UUID, user_public_id: UUID) -> None:
        """End the membership of a user, if there is one."""
        board = await self.lock(public_id)
        user = await UserRepository(self.repo.session).get_by_public_id(user_public_id)
        members = BoardMemberRepository(self.repo.session)
        if user and (member := await members.lock(board_id=board.id, user_id=user.id)):
            await members.soft_delete(member)
        await self.save(board, updated_at=utcnow())
