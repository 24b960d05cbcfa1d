"""The demo items: some in every status, and some deleted, so that there is something to restore."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from app.models.item import ItemStatus
from app.models.user import User
from app.repositories.item_repository import ItemRepository
from mscr.models.base import utcnow

DEMO_ITEMS: Final = 20
# Every n-th demo item is deleted.
DELETED_EVERY: Final = 10


async def add_demo_items(session: AsyncSession, owners: Sequence[User]) -> None:
    items = ItemRepository(session)
    states = list(ItemStatus)
    now = utcnow()
    for number in range(1, DEMO_ITEMS + 1):
        status = states[number % len(states)]
        item = await items.create(
            owner_id=owners[number % len(owners)].id,
            title=f"Demo item {number}",
            description=f"An item that is {status.value}.",
            status=status,
            # Spread over days, so that sort orders differ.
            created_at=now - timedelta(days=DEMO_ITEMS - number),
        )
        if number % DELETED_EVERY == 0:
            await items.soft_delete(item)
