"""The base classes of all repositories."""

from mscr.repositories.base import BaseRepository as KitRepository
from mscr.repositories.base import ModelType, SortColumns
from mscr.repositories.owned_repository import OwnedRepository as KitOwnedRepository


class BaseRepository(KitRepository[ModelType]):
    """Add methods that all your repositories share here."""


class OwnedRepository(KitOwnedRepository[ModelType], BaseRepository[ModelType]):
    """Base for rows with an `owner_id`. Refuses to create one for a deleted account."""
