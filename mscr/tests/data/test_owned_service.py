"""A retried use case of a plain resource."""

from collections.abc import Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import ColumnElement
from sqlalchemy.ext.asyncio import AsyncSession

from examples.catalogue.db.session import Database
from examples.catalogue.models.item import Item, ItemStatus
from examples.catalogue.models.note import Note
from examples.catalogue.models.tables import TABLES
from examples.catalogue.repositories.item_repository import ItemRepository
from examples.catalogue.schemas.item_schemas import ItemResponse
from examples.catalogue.tests.api import Api
from mscr.core.exceptions import IdempotencyKeyInUseError
from mscr.core.idempotency import KeyScope
from mscr.http.representation import Representations
from mscr.repositories.idempotency_key_repository import IdempotencyKeyRepository
from mscr.repositories.owned_repository import OwnedRepository
from mscr.services.idempotency_service import IdempotencyService, IdempotentRequest
from mscr.services.owned_service import OwnedService
from mscr.testing.databases import on_postgresql


class SharedItemRepository(OwnedRepository[Item]):
    model = Item

    def visible_to(self, viewer_id: Any) -> Sequence[ColumnElement[bool]]:
        return Item.status == ItemStatus.ACTIVE, Item.owner_id == viewer_id


class ItemService(OwnedService[Item]):
    repository = ItemRepository
    response = ItemResponse


def service_with_key(session: AsyncSession, owner_id: int) -> ItemService:
    scope = KeyScope.of(owner_id, "create_item", "e7a9c1d2")
    request = IdempotentRequest(
        scope, b"body", ItemResponse, status=201, path="/items", kept=Representations()
    )
    keys = IdempotencyKeyRepository(session, TABLES)
    idempotency = IdempotencyService(keys, request, lifetime=timedelta(hours=1))
    caller: Any = SimpleNamespace(user_id=owner_id)
    return ItemService(ItemRepository(session), caller, idempotency=idempotency)


@on_postgresql
async def test_a_retry_after_a_rollback_locks_the_key_again(api: Api, database: Database) -> None:
    await api.register()
    async with database.sessions() as session, database.sessions() as another:
        first, second = service_with_key(session, 1), service_with_key(another, 1)
        await first.begin()
        await first.repo.rollback()
        await first.begin()

        with pytest.raises(IdempotencyKeyInUseError):
            await second.begin()


async def test_a_row_that_the_viewer_may_not_see_is_not_locked(
    api: Api, database: Database
) -> None:
    owner = await api.register()
    await api.register()
    draft = await api.create_item(owner)
    active = await api.create_item(owner, status="active")
    async with database.sessions() as session:
        repo = SharedItemRepository(session)

        async def locked(item: dict[str, Any], viewer_id: int) -> Item | None:
            return await repo.lock_visible(UUID(item["public_id"]), viewer_id=viewer_id)

        assert await locked(draft, 2) is None
        assert await locked(draft, 1) is not None
        assert await locked(active, 1) is not None
        row = await locked(active, 2)
        assert row is not None
        assert row.public_id == active["public_id"]
        await repo.soft_delete(row)
        assert await locked(active, 1) is None


async def test_values_that_are_no_columns_are_not_inserted_in_one_statement(
    api: Api, database: Database
) -> None:
    """Children, for example: `create` inserts them, in a transaction."""
    await api.register()
    async with database.sessions() as session:
        repo: OwnedRepository[Note] = OwnedRepository(Note, session)
        caller: Any = SimpleNamespace(user_id=1, public_id="")
        fields = ("public_id", "text")

        assert await repo.insert(caller, fields, {"text": "Buy milk", "lines": []}) is None
        assert await repo.count() == 0
