from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement

from app.models.item import Item, ItemStatus
from app.repositories.base import OwnedRepository


class ItemRepository(OwnedRepository[Item]):
    model = Item
    searched = True

    def visible_to(self, viewer_id: Any) -> Sequence[ColumnElement[bool]]:
        return Item.status == ItemStatus.ACTIVE, Item.owner_id == viewer_id
