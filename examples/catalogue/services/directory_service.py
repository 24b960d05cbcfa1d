"""Read-only use cases of accounts: lists and profiles."""

from uuid import UUID

from examples.catalogue.models.user import User
from examples.catalogue.repositories.user_repository import UserRepository
from examples.catalogue.schemas.user_schemas import UserListQuery
from mscr.core.exceptions import NotFoundError
from mscr.http.preconditions import Preconditions
from mscr.queries.pagination import Page, Pager


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
        request = self._pager.page_request(query, "users", viewer)
        found = await self.user_repo.list_page(request)
        return self._pager.page(found, request)
