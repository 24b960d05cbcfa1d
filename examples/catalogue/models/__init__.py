"""All models: importing this package fills `Base.metadata`."""

from examples.catalogue.models.article import Article
from examples.catalogue.models.base import Base
from examples.catalogue.models.board import Board, BoardMember
from examples.catalogue.models.item import Item, ItemStatus
from examples.catalogue.models.kit_tables import (
    AuditEvent,
    IdempotencyKey,
    Job,
    MailedLink,
    RefreshToken,
)
from examples.catalogue.models.note import Note
from examples.catalogue.models.order import Order, OrderLine, OrderStatus
from examples.catalogue.models.tag import Tag, item_tags
from examples.catalogue.models.user import User, UserRole

__all__ = [
    "Article",
    "AuditEvent",
    "Base",
    "Board",
    "BoardMember",
    "IdempotencyKey",
    "Item",
    "ItemStatus",
    "Job",
    "MailedLink",
    "Note",
    "Order",
    "OrderLine",
    "OrderStatus",
    "RefreshToken",
    "Tag",
    "User",
    "UserRole",
    "item_tags",
]
