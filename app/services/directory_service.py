"""Who there is: what is read of accounts, and changes none."""

from uuid import UUID

from app.core.exceptions import NotFoundError
from app.core.pagination import Page, Pager
from app.core.preconditions import Preconditions
from app.models.user import User
from app.repositories.user_repository import UserRepository
from app.schemas.user_schemas import UserListQuery


class DirectoryService:
    def __init__(self, user_repo: UserRepository, *, pager: Pager) -> None:
        self.user_repo = user_repo
        self._pager = pager

    async def get_public(self, public_id: UUID, preconditions: Preconditions) -> User:
        user = await self.user_repo.get_by_public_id(public_id)
        if user is None or not user.is_active:
            raise NotFoundError
        preconditions.check(user)
        return user

    async def list_page(self, query: UserListQuery, *, viewer: str) -> Page[User]:
        request = self._pager.open(query, "users", viewer)
        found = await self.user_repo.list_page(request)
        return self._pager.close(found, request)
