from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.base import utcnow
from app.models.ownership import owned_models


class OwnedRowRepository:
    """What belongs to a user, of whichever model: rows whose `owner_id` is the user's."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def soft_delete(self, owner_id: int) -> None:
        """All of it, one statement a model: a new one needs no line for that."""
        for model in owned_models():
            raised = {"version": model.version + 1} if hasattr(model, "version") else {}
            await self.session.execute(
                update(model)
                .where(model.owner_id == owner_id, model.is_deleted.is_(False))
                .values(is_deleted=True, deleted_at=utcnow(), **raised)
            )
