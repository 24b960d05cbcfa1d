"""Items: every caller sees published ones; only their owner sees drafts and archived ones."""

from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

from pydantic import MISSING

from examples.catalogue.core.permissions import Permission
from examples.catalogue.models.item import Item
from examples.catalogue.repositories.item_repository import ItemRepository
from examples.catalogue.repositories.tag_repository import TagRepository
from examples.catalogue.schemas.item_schemas import (
    DeletedItemListQuery,
    ItemCreate,
    ItemExportQuery,
    ItemListQuery,
    ItemRow,
    ItemSearchQuery,
    ItemUpdate,
    ItemUpdateRow,
)
from mscr.core.exceptions import NotFoundError
from mscr.core.security.principal import Principal
from mscr.endpoints.export_rows import begun
from mscr.http.preconditions import Preconditions
from mscr.queries.pagination import Page, Pager
from mscr.queries.shown_rows import ShownRow
from mscr.schemas.bulk_schemas import BulkRequest, RowTarget
from mscr.services.bulk_service import BulkService, ImportService
from mscr.services.idempotency_service import IdempotencyService
from mscr.services.rows import BulkResult, ImportResult, RowLedger
from mscr.services.unit_of_work import retried


class ItemService:
    def __init__(self, item_repo: ItemRepository, tag_repo: TagRepository, *, pager: Pager) -> None:
        self.item_repo = item_repo
        self._tag_repo = tag_repo
        self._pager = pager

    async def create(
        self, data: ItemCreate, principal: Principal, idempotency: IdempotencyService
    ) -> ShownRow:
        values = data.model_dump(exclude={"tags"})
        # Nothing else belongs to the transaction.
        if not (data.tags or idempotency.has_key or self.item_repo.counts_for_replica):
            return await self.item_repo.create_alone(principal, **values)
        await idempotency.begin()
        tags = await self._tag_repo.obtain(principal.user_id, data.tags)
        item = await self.item_repo.create_for_owner(principal.user_id, tags, **values)
        await idempotency.complete(item)
        await self.item_repo.commit()
        return item

    async def get(
        self, public_id: UUID, principal: Principal, preconditions: Preconditions
    ) -> ShownRow:
        """Raises `NotFoundError` if it does not exist, or if the caller may not see it."""
        if principal.may(Permission.ITEMS_MANAGE):
            item = await self.item_repo.find(public_id)
        else:
            item = await self.item_repo.find_visible(public_id, principal.user_id)
        if item is None:
            raise NotFoundError
        preconditions.check(item)
        return item

    async def list_page(self, query: ItemListQuery, principal: Principal) -> Page[ShownRow]:
        request = self._pager.page_request(query, "items", principal.public_id)
        found = await self.item_repo.list_visible(request, principal.user_id)
        return self._pager.page(found, request)

    async def list_own(self, query: ItemListQuery, principal: Principal) -> Page[ShownRow]:
        request = self._pager.page_request(query, "items/my", principal.public_id)
        found = await self.item_repo.list_owned(request, principal.user_id)
        return self._pager.page(found, request)

    async def list_deleted(self, query: DeletedItemListQuery, principal: Principal) -> Page[Item]:
        """List the items that the caller may restore: their own; for administrators, all."""
        request = self._pager.page_request(query, "items/deleted", principal.public_id)
        owner_id = None if principal.may(Permission.ITEMS_MANAGE) else principal.user_id
        found = await self.item_repo.list_deleted(request, owner_id=owner_id)
        return self._pager.page(found, request)

    async def export(
        self, query: ItemExportQuery, principal: Principal
    ) -> AsyncIterator[Sequence[Any]]:
        """Yield all rows that `list_page` returns, in batches."""
        request = query.page_request()
        return await begun(self.item_repo.walk_visible(request, principal.user_id))

    async def search(self, query: ItemSearchQuery, principal: Principal) -> Page[ShownRow]:
        request = self._pager.page_request(query, "items/search", principal.public_id)
        found = await self.item_repo.search_visible(request, principal.user_id, words=query.q)
        return self._pager.page(found, request)

    async def update(
        self, public_id: UUID, data: ItemUpdate, principal: Principal, preconditions: Preconditions
    ) -> Item:
        item = await self._lock_writable(public_id, principal)
        preconditions.check(item)
        if data.tags is not MISSING:
            # The owner's tags, also when an administrator changes the item.
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
        """Create all rows as the caller's items, or none."""
        importing = ImportService(self.item_repo, idempotency, dry_run=dry_run)
        return await importing.create(rows, owner_id=principal.user_id)

    async def restore(
        self, public_id: UUID, principal: Principal, preconditions: Preconditions
    ) -> Item:
        """Undo `delete`. Do nothing if the item is not deleted.

        Raises `NotFoundError` also if the owner's account was deleted, with its items.
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
        """Lock an item that the caller owns or administers. For others it does not exist (404).

        The lock serializes concurrent changes: the second request sees the result of the first.
        """
        item = await self.item_repo.lock_row(public_id, include_deleted=include_deleted)
        if item is None or not self._may_write(item, principal):
            raise NotFoundError
        return item

    @staticmethod
    def _may_write(item: Item, principal: Principal) -> bool:
        return item.owner_id == principal.user_id or principal.may(Permission.ITEMS_MANAGE)
