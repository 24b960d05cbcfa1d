from app.core.security.permissions import Permission
from app.models.item import Item
from app.repositories.item_repository import ItemRepository
from app.schemas.item_schemas import ItemResponse
from app.services.base import OwnedService


class ItemService(OwnedService[Item]):
    """Published items are visible to all callers, drafts and archived ones to their owner only."""

    repository = ItemRepository
    response = ItemResponse

    def may_manage(self) -> bool:
        return self.caller.may(Permission.ITEMS_MANAGE)
