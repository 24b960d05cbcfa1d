"""Tags: an owner's words. The tags of others do not exist for the caller (404)."""

from uuid import UUID

from examples.catalogue.models.tag import Tag
from examples.catalogue.repositories.tag_repository import TagRepository
from examples.catalogue.schemas.tag_schemas import TagListQuery, TagWrite
from mscr.core.exceptions import NotFoundError
from mscr.core.security.principal import Principal
from mscr.http.preconditions import Preconditions
from mscr.queries.pagination import Page, Pager
from mscr.services.idempotency_service import IdempotencyService


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
        request = self._pager.page_request(query, "tags", owner.public_id)
        found = await self.tag_repo.list_owned(request, owner.user_id)
        return self._pager.page(found, request)

    async def rename(
        self, public_id: UUID, data: TagWrite, owner: Principal, preconditions: Preconditions
    ) -> Tag:
        """Rename the tag on all its items. Raises `TagNameTakenError`."""
        tag = await self._lock(public_id, owner)
        preconditions.check(tag)
        await self.tag_repo.rename(tag, data.name)
        await self.tag_repo.commit()
        return tag

    async def delete(self, public_id: UUID, owner: Principal, preconditions: Preconditions) -> None:
        """Hard-delete the tag and its links. The name is free again, for a new tag."""
        tag = await self._lock(public_id, owner)
        preconditions.check(tag)
        await self.tag_repo.soft_delete(tag)
        await self.tag_repo.commit()

    async def _lock(self, public_id: UUID, owner: Principal) -> Tag:
        tag = await self.tag_repo.lock_owned(public_id, owner.user_id)
        if tag is None:
            raise NotFoundError
        return tag
