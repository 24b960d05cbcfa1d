from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from mscr.core.idempotency import KeyScope
from mscr.models.idempotency_key import IdempotencyKeyMixin
from mscr.models.tables import Tables
from mscr.repositories.base import BaseRepository


class IdempotencyKeyRepository(BaseRepository[IdempotencyKeyMixin]):
    def __init__(self, session: AsyncSession, tables: Tables) -> None:
        super().__init__(tables.idempotency_key, session)
        self._user = tables.user

    async def try_lock(self, scope: KeyScope) -> bool:
        """Try to lock the key for this transaction. Return False if another one holds the lock.

        It never waits. The lock ends with the transaction, also when that fails (on PostgreSQL, an
        advisory lock). SQLite needs none: it has one writing transaction at a time.
        """
        connection = await self.session.connection()
        if connection.dialect.name != "postgresql":
            return True
        lock = func.pg_try_advisory_xact_lock(scope.lock_number)
        return bool(await self.session.scalar(select(lock)))

    async def keep_owner(self, user_id: int) -> bool:
        """Lock the owner's row so that the account cannot be deleted concurrently.

        Return False if there is no such account. If a deletion is under way, wait for it. The lock
        lasts until the end of the transaction: a deletion that begins later finds the response
        that is stored here, and deletes it.
        """
        owner = select(self._user.id).where(
            self._user.id == user_id, self._user.is_deleted.is_(False)
        )
        locked = owner.with_for_update(read=True, key_share=True)
        return await self.session.scalar(locked) is not None

    async def find(self, scope: KeyScope) -> IdempotencyKeyMixin | None:
        """Return the stored response, expired or not, or None.

        Call `try_lock` first: then no other request with this key can change it meanwhile.
        """
        statement = self._select().filter_by(
            user_id=scope.user_id, operation=scope.operation, key_digest=scope.key_digest
        )
        return (await self.session.scalars(statement)).one_or_none()

    async def forget(self, key: IdempotencyKeyMixin) -> None:
        await self.session.delete(key)
        await self.flush()

    async def delete_expired(self, *, before: datetime, batch: int) -> int:
        """Remove keys that expired before the given time, at most `batch` of them."""
        expired = select(self.model.id).where(self.model.expires_at < before).limit(batch)
        result = await self.session.execute(
            delete(self.model).where(self.model.id.in_(expired)).returning(self.model.id)
        )
        return len(result.all())
