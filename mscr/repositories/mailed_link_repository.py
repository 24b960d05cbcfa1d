from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from mscr.models.account import AccountMixin
from mscr.models.mailed_link import LinkPurpose, MailedLinkMixin
from mscr.models.tables import Tables
from mscr.repositories.base import BaseRepository


class MailedLinkRepository(BaseRepository[MailedLinkMixin]):
    """Warning: lock the account's row before each write. All locks are then taken in one order."""

    def __init__(self, session: AsyncSession, tables: Tables) -> None:
        super().__init__(tables.mailed_link, session)

    async def replace(
        self,
        user: AccountMixin,
        purpose: LinkPurpose,
        *,
        digest: bytes,
        email: str,
        expires_at: datetime,
    ) -> None:
        """Add a link of the account. It voids the earlier one of this purpose."""
        link = self.model
        await self.session.execute(
            delete(link).where(link.user_id == user.id, link.purpose == purpose)
        )
        await self.create(
            user_id=user.id,
            purpose=purpose,
            digest=digest,
            email=email,
            auth_version=user.auth_version,
            expires_at=expires_at,
        )

    async def has_later(
        self, user: AccountMixin, purpose: LinkPurpose, expires_at: datetime
    ) -> bool:
        """Return whether the account has a link of this purpose that expires later."""
        link = self.model
        later = select(link.id).where(
            link.user_id == user.id, link.purpose == purpose, link.expires_at > expires_at
        )
        return await self.session.scalar(later) is not None

    async def find_owner(self, digest: bytes, purpose: LinkPurpose, *, now: datetime) -> int | None:
        """Return the integer id of the account that has this link, or None. It is not used yet."""
        link = self.model
        found = select(link.user_id).where(
            link.digest == digest, link.purpose == purpose, link.expires_at > now
        )
        owner: int | None = await self.session.scalar(found)
        return owner

    async def use(
        self, digest: bytes, purpose: LinkPurpose, *, user_id: int, now: datetime
    ) -> MailedLinkMixin | None:
        """Delete the link of the account and return it. Return None to all but the first caller."""
        link = self.model
        used = (
            delete(link)
            .where(
                link.digest == digest,
                link.purpose == purpose,
                link.user_id == user_id,
                link.expires_at > now,
            )
            .returning(link)
            .execution_options(synchronize_session=False)
        )
        return (await self.session.scalars(used)).one_or_none()

    async def void_all(self, user_id: int) -> None:
        """Delete the links of the account, for every purpose."""
        await self.session.execute(delete(self.model).where(self.model.user_id == user_id))

    async def delete_expired(self, *, before: datetime, batch: int) -> int:
        """Delete up to `batch` links that expired before this time. Return how many."""
        link = self.model
        expired = select(link.id).where(link.expires_at < before).limit(batch)
        deleted = delete(link).where(link.id.in_(expired)).returning(link.id)
        return len((await self.session.execute(deleted)).all())
