"""Tags: an owner's own words. What others own is answered like what is not there."""

from uuid import UUID

from app.core.exceptions import NotFoundError
from app.core.pagination import Page, Pager
from app.core.preconditions import Preconditions
from app.core.security.principal import Principal
from app.models.tag import Tag
from app.repositories.tag_repository import TagRepository
from app.schemas.tag_schemas import TagListQuery, TagWrite
from app.services.idempotency_service import IdempotencyService


class TagService:
    def __init__(self, tag_repo: TagRepository, *, pager: Pager) -> None:
        self.tag_repo = tag_repo
        self._pager = pager

    async def create(
        self, data: TagWrite, owner: Principal, idempotency: IdempotencyService
    ) -> Tag:
        """Raises `TagNameTakenError`."""
        await idempotency.begin()
        tag = await self.tag_repo.create_for_owner(owner.user_id, data.name)
        await idempotency.complete(tag)
        await self.tag_repo.commit()
        return tag

    async def get(self, public_id: UUID, owner: Principal, preconditions: Preconditions) -> Tag:
        tag = await self.tag_repo.find_owned(public_id, owner.user_id)
        if tag is None:
            raise NotFoundError
        preconditions.check(tag)
        return tag

    async def list_page(self, query: TagListQuery, owner: Principal) -> Page[Tag]:
        request = self._pager.open(query, "tags", owner.public_id)
        found = await self.tag_repo.list_owned(request, owner.user_id)
        return self._pager.close(found, request)

    async def rename(
        self, public_id: UUID, data: TagWrite, owner: Principal, preconditions: Preconditions
    ) -> Tag:
        """On every item at once. Raises `TagNameTakenError`."""
        tag = await self._lock(public_id, owner)
        preconditions.check(tag)
        await self.tag_repo.rename(tag, data.name)
        await self.tag_repo.commit()
        return tag

    async def delete(self, public_id: UUID, owner: Principal, preconditions: Preconditions) -> None:
        """Take it off every item, for good: the name is free, and the next of it is a new tag."""
        tag = await self._lock(public_id, owner)
        preconditions.check(tag)
        await self.tag_repo.soft_delete(tag)
        await self.tag_repo.commit()

    async def _lock(self, public_id: UUID, owner: Principal) -> Tag:
        tag = await self.tag_repo.lock_owned(public_id, owner.user_id)
        if tag is None:
            raise NotFoundError
        return tag
