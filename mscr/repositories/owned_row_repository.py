from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import registry

from mscr.models.base import utcnow
from mscr.models.ownership import owned_models


class OwnedRowRepository:
    """The rows of all models that belong to a user: those with the user's `owner_id`."""

    def __init__(self, session: AsyncSession, models: registry) -> None:
        """`models` is the registry of the application's base."""
        self.session = session
        self._models = models

    async def soft_delete(self, owner_id: int) -> None:
        """Soft-delete all rows of a user, with one statement a model.

        The registry lists the models, so a new one needs no change here.
        """
        for model in owned_models(self._models):
            raised = {"version": model.version + 1} if hasattr(model, "version") else {}
            await self.session.execute(
                update(model)
                .where(model.owner_id == owner_id, model.is_deleted.is_(False))
                .values(is_deleted=True, deleted_at=utcnow(), **raised)
            )
