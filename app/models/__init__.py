"""All models: importing this package fills `Base.metadata`."""

from app.models.base import Base, PublicIdMixin, SoftDeleteMixin, TimestampMixin
from app.models.item import Item, ItemStatus
from app.models.refresh_token import RefreshToken
from app.models.user import User, UserRole

__all__ = [
    "Base",
    "Item",
    "ItemStatus",
    "PublicIdMixin",
    "RefreshToken",
    "SoftDeleteMixin",
    "TimestampMixin",
    "User",
    "UserRole",
]
