"""Items: published ones are for everybody, drafts and archived ones for their owner."""

from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

from pydantic import MISSING

from app.core.bulk import BulkResult, ImportResult, RowLedger
from app.core.exceptions import NotFoundError
from app.core.exports import begun
from app.core.pagination import Page, Pager
from app.core.preconditions import Preconditions
from app.core.security.permissions import Permission
from app.core.security.principal import Principal
from app.models.item import Item
from app.repositories.item_repository import ItemRepository
from app.repositories.item_view import ShownItem
from app.repositories.tag_repository import TagRepository
from app.repositories.unit_of_work import retried
from app.schemas.bulk_schemas import BulkRequest, RowTarget
from app.schemas.item_schemas import (
    DeletedItemListQuery,
    ItemCreate,
    ItemExportQuery,
    ItemListQuery,
    ItemRow,
    ItemSearchQuery,
    ItemUpdate,
    ItemUpdateRow,
)
from app.services.bulk_service import BulkService, ImportService
from app.services.idempotency_service import IdempotencyService


class ItemService:
    def __init__(self, item_repo: ItemRepository, tag_repo: TagRepository, *, pager: Pager) -> None:
        self.item_repo = item_repo
        self._tag_repo = tag_repo
        self._pager = pager

    async def create(
        self, data: ItemCreate, principal: Principal, idempotency: IdempotencyService
    ) -> ShownItem:
        values = data.model_dump(exclude={"tags"})
        # Nothing else has to be committed with it.
        if not (data.tags or idempotency.has_key or self.item_repo.counts_writes):
            return await self.item_repo.create_alone(principal, **values)
        await idempotency.begin()
        tags = await self._tag_repo.obtain(principal.user_id, data.tags)
        item = await self.item_repo.create_for_owner(principal.user_id, tags, **values)
        await idempotency.complete(item)
        await self.item_repo.commit()
        return item

    async def get(
        self, public_id: UUID, principal: Principal, preconditions: Preconditions
    ) -> ShownItem:
        """Raises `NotFoundError` for what the caller may not see, as for what is not there."""
        if principal.may(Permission.ITEMS_MANAGE):
            item = await self.item_repo.find(public_id)
        else:
            item = await self.item_repo.find_visible(public_id, principal.user_id)
        if item is None:
            raise NotFoundError
        preconditions.check(item)
        return item

    async def list_page(self, query: ItemListQuery, principal: Principal) -> Page[ShownItem]:
        request = self._pager.open(query, "items", principal.public_id)
        found = await self.item_repo.list_visible(request, principal.user_id)
        return self._pager.close(found, request)

    async def list_own(self, query: ItemListQuery, principal: Principal) -> Page[ShownItem]:
        request = self._pager.open(query, "items/my", principal.public_id)
        found = await self.item_repo.list_owned(request, principal.user_id)
        return self._pager.close(found, request)

    async def list_deleted(self, query: DeletedItemListQuery, principal: Principal) -> Page[Item]:
        """What the caller may restore: their own; for administrators everybody's."""
        request = self._pager.open(query, "items/deleted", principal.public_id)
        owner_id = None if principal.may(Permission.ITEMS_MANAGE) else principal.user_id
        found = await self.item_repo.list_deleted(request, owner_id=owner_id)
        return self._pager.close(found, request)

    async def export(
        self, query: ItemExportQuery, principal: Principal
    ) -> AsyncIterator[Sequence[Any]]:
        """All that `list_page` has pages of, in batches."""
        request = query.page_request()
        return await begun(self.item_repo.walk_visible(request, principal.user_id))

    async def search(self, query: ItemSearchQuery, principal: Principal) -> Page[ShownItem]:
        request = self._pager.open(query, "items/search", principal.public_id)
        found = await self.item_repo.search_visible(request, principal.user_id, words=query.q)
        return self._pager.close(found, request)

    async def update(
        self, public_id: UUID, data: ItemUpdate, principal: Principal, preconditions: Preconditions
    ) -> Item:
        item = await self._lock_writable(public_id, principal)
        preconditions.check(item)
        if data.tags is not MISSING:
            # Its owner's, whoever changes it.
            tags = await self._tag_repo.obtain(item.owner_id, data.tags)
            await self.item_repo.set_tags(item, tags)
        values = data.model_dump(exclude_unset=True, exclude={"tags"})
        await self.item_repo.update(item, **values)
        await self.item_repo.commit()
        return item

    async def delete(
        self, public_id: UUID, principal: Principal, preconditions: Preconditions
    ) -> None:
        item = await self._lock_writable(public_id, principal)
        preconditions.check(item)
        await self.item_repo.soft_delete(item)
        await self.item_repo.commit()

    @retried
    async def create_many(
        self,
        request: BulkRequest[ItemRow],
        principal: Principal,
        ledger: RowLedger,
        idempotency: IdempotencyService,
    ) -> BulkResult:
        bulk = BulkService(self.item_repo, ledger, idempotency)
        return await bulk.create(request, owner_id=principal.user_id)

    @retried
    async def update_many(
        self,
        request: BulkRequest[ItemUpdateRow],
        principal: Principal,
        ledger: RowLedger,
        idempotency: IdempotencyService,
    ) -> BulkResult:
        bulk = BulkService(self.item_repo, ledger, idempotency)
        return await bulk.update(request, lambda item: self._may_write(item, principal))

    @retried
    async def delete_many(
        self,
        request: BulkRequest[RowTarget],
        principal: Principal,
        ledger: RowLedger,
        idempotency: IdempotencyService,
    ) -> BulkResult:
        bulk = BulkService(self.item_repo, ledger, idempotency)
        return await bulk.delete(request, lambda item: self._may_write(item, principal))

    @retried
    async def import_rows(
        self,
        rows: Sequence[ItemRow],
        principal: Principal,
        idempotency: IdempotencyService,
        *,
        dry_run: bool,
    ) -> ImportResult:
        """All of them become the caller's, or none does."""
        importing = ImportService(self.item_repo, idempotency, dry_run=dry_run)
        return await importing.create(rows, owner_id=principal.user_id)

    async def restore(
        self, public_id: UUID, principal: Principal, preconditions: Preconditions
    ) -> Item:
        """Undo `delete`. An item that is not deleted stays as it is.

        Raises `NotFoundError` also when the owner's account was deleted: its items went with it.
        """
        await self.item_repo.keep_owner(public_id)
        item = await self._lock_writable(public_id, principal, include_deleted=True)
        if item.owner.is_deleted:
            raise NotFoundError
        preconditions.check(item)
        await self.item_repo.restore(item)
        await self.item_repo.commit()
        return item

    async def _lock_writable(
        self, public_id: UUID, principal: Principal, *, include_deleted: bool = False
    ) -> Item:
        """The owner's or an administrator's; for others it is absent, published or not.

        Locked: of two requests that change it, the second sees what the first one made of it.
        """
        item = await self.item_repo.find_for_update(public_id, include_deleted=include_deleted)
        if item is None or not self._may_write(item, principal):
            raise NotFoundError
        return item

    @staticmethod
    def _may_write(item: Item, principal: Principal) -> bool:
        return item.owner_id == principal.user_id or principal.may(Permission.ITEMS_MANAGE)
