from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.idempotency import KeyScope
from app.models.idempotency_key import IdempotencyKey
from app.models.user import User
from app.repositories.base import BaseRepository


class IdempotencyKeyRepository(BaseRepository[IdempotencyKey]):
    def __init__(self, session: AsyncSession) -> None:
        super().__init__(IdempotencyKey, session)

    async def try_lock(self, scope: KeyScope) -> bool:
        """Whether this transaction is now the only one with the key; it never waits for another.

        The lock ends with the transaction, however that ends. On SQLite there is one transaction
        that writes at a time: whoever gets here is alone.
        """
        connection = await self.session.connection()
        if connection.dialect.name != "postgresql":
            return True
        lock = func.pg_try_advisory_xact_lock(scope.lock_number)
        return bool(await self.session.scalar(select(lock)))

    async def keep_owner(self, user_id: int) -> bool:
        """Whether the account is there, and then it cannot be deleted before this transaction ends.

        A deletion that came first is waited for. So none passes over the answer that is stored.
        """
        owner = select(User.id).where(User.id == user_id, User.is_deleted.is_(False))
        locked = owner.with_for_update(read=True, key_share=True)
        return await self.session.scalar(locked) is not None

    async def find(self, scope: KeyScope) -> IdempotencyKey | None:
        """Expired or not. Begin with `try_lock`: what this reads is then the last word."""
        statement = self._select().filter_by(
            user_id=scope.user_id, operation=scope.operation, key_digest=scope.key_digest
        )
        return (await self.session.scalars(statement)).one_or_none()

    async def forget(self, key: IdempotencyKey) -> None:
        await self.session.delete(key)
        await self.flush()

    async def delete_owned(self, user_id: int) -> None:
        await self.session.execute(delete(IdempotencyKey).where(IdempotencyKey.user_id == user_id))

    async def delete_expired(self, *, before: datetime, batch: int) -> int:
        """Remove keys that expired before the given time, at most `batch` of them."""
        expired = select(IdempotencyKey.id).where(IdempotencyKey.expires_at < before).limit(batch)
        result = await self.session.execute(
            delete(IdempotencyKey)
            .where(IdempotencyKey.id.in_(expired))
            .returning(IdempotencyKey.id)
        )
        return len(result.all())
