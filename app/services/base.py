"""The base class of services of plain resources."""

from app.repositories.base import ModelType
from mscr.services.owned_service import OwnedService as KitOwnedService


class OwnedService(KitOwnedService[ModelType]):
    """Add methods that all services of rows with an owner share here."""
