"""Read-only use cases of accounts: lists and profiles."""

from uuid import UUID

from examples.catalogue.models.user import User
from examples.catalogue.repositories.user_repository import UserRepository
from mscr.core.exceptions import NotFoundError
from mscr.http.preconditions import Preconditions
from mscr.queries.pagination import PageRequest, Slice


class DirectoryService:
    def __init__(self, user_repo: UserRepository) -> None:
        self.user_repo = user_repo

    async def get_public(self, public_id: UUID, preconditions: Preconditions) -> User:
        user = await self.user_repo.get_by_public_id(public_id)
        if user is None or not user.is_active:
            raise NotFoundError
        preconditions.check(user)
        return user

    async def list(self, page: PageRequest) -> Slice[User]:
        return await self.user_repo.list_page(page)
