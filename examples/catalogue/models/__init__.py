"""All models: importing this package fills `Base.metadata`."""

from examples.catalogue.models.article import Article
from examples.catalogue.models.base import Base
from examples.catalogue.models.item import Item, ItemStatus
from examples.catalogue.models.kit_tables import AuditEvent, IdempotencyKey, RefreshToken
from examples.catalogue.models.note import Note
from examples.catalogue.models.order import Order, OrderStatus
from examples.catalogue.models.tag import Tag, item_tags
from examples.catalogue.models.user import User, UserRole

__all__ = [
    "Article",
    "AuditEvent",
    "Base",
    "IdempotencyKey",
    "Item",
    "ItemStatus",
    "Note",
    "Order",
    "OrderStatus",
    "RefreshToken",
    "Tag",
    "User",
    "UserRole",
    "item_tags",
]
