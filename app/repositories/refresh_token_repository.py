from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Select, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.client import Client
from app.models.base import utcnow
from app.models.refresh_token import RefreshToken, RevocationReason
from app.models.user import User
from app.repositories.base import BaseRepository
from app.repositories.token_rotation import FIND_FAMILY, LIVE, MARK_ANSWERED, ROTATE, TokenFamily


class RefreshTokenRepository(BaseRepository[RefreshToken]):
    def __init__(self, session: AsyncSession) -> None:
        super().__init__(RefreshToken, session)

    async def find_family(self, public_id: str) -> TokenFamily | None:
        """Whatever its state: the caller tells reuse from expiry by it."""
        row = await FIND_FAMILY.one_or_none(self.session, family_public_id=public_id, now=utcnow)
        return None if row is None else TokenFamily(*row)

    async def lock_logins(self, user_id: int) -> None:
        """Let no other login of the user go on until this transaction ends."""
        # Weaker than FOR UPDATE: rows that refer to the user may be written meanwhile.
        statement = select(User.id).where(User.id == user_id).with_for_update(key_share=True)
        await self.session.execute(statement)

    async def list_live(self, user_id: int, now: datetime) -> Sequence[RefreshToken]:
        """The user's sessions that have not ended, the one used last first."""
        return (await self.session.scalars(self._select_live(user_id, now))).all()

    async def end_oldest(self, user_id: int, *, keep: int, now: datetime) -> Sequence[str]:
        """End the user's sessions but for so many, those that were used last.

        Returns the public ids of the ended ones.
        """
        surplus = self._select_live(user_id, now).with_only_columns(RefreshToken.id).offset(keep)
        return await self._end(RefreshToken.id.in_(surplus), RevocationReason.SESSION_LIMIT, now)

    async def end_session(self, user_id: int, *, public_id: str, now: datetime) -> bool:
        """Whether there was such a session of the user to end."""
        one = self._select_live(user_id, now).where(RefreshToken.public_id == public_id)
        found = RefreshToken.id.in_(one.with_only_columns(RefreshToken.id).order_by(None))
        return bool(await self._end(found, RevocationReason.ENDED_BY_OWNER, now))

    async def end_other_sessions(self, user_id: int, *, keep: str, now: datetime) -> bool:
        """Whether there were any."""
        others = (RefreshToken.user_id == user_id) & (RefreshToken.public_id != keep)
        return bool(await self._end(others, RevocationReason.ENDED_BY_OWNER, now))

    async def end_any(self, *, now: datetime, batch: int) -> int:
        """End sessions of anybody, at most `batch` of them; how many."""
        living = (RefreshToken.revoked_at.is_(None), RefreshToken.expires_at > now)
        some = select(RefreshToken.id).where(*living).limit(batch)
        which = RefreshToken.id.in_(some)
        return len(await self._end(which, RevocationReason.ENDED_BY_OPERATOR, now))

    async def mark_authenticated(self, public_id: str, now: datetime) -> None:
        """Note that the password was proved in this session."""
        await self.session.execute(
            update(RefreshToken)
            .where(RefreshToken.public_id == public_id)
            .values(authenticated_at=now)
            .execution_options(synchronize_session=False)
        )

    async def forget_clients(self, user_id: int) -> None:
        """Remove what the sessions say about a person: addresses and user agents."""
        await self.session.execute(
            update(RefreshToken)
            .where(RefreshToken.user_id == user_id)
            .values(address=None, user_agent=None)
            .execution_options(synchronize_session=False)
        )

    async def rotate(
        self,
        family_id: int,
        *,
        generation: int,
        now: datetime,
        idle_expires_at: datetime,
        client: Client,
    ) -> bool:
        """Of any number of parallel callers, exactly one gets True. Committed by then."""
        rotated = await ROTATE.one_or_none(
            self.session,
            family_id=family_id,
            from_generation=generation,
            now=now,
            new_idle_expires_at=idle_expires_at,
            new_address=client.address,
            new_user_agent=client.user_agent,
        )
        return rotated is not None

    async def mark_answered(self, family_id: int, *, generation: int) -> None:
        """From now on, whoever brings the predecessor could have known its successor.

        The first of several callers decides: a later time would excuse a replay in between.
        Committed by then.
        """
        await MARK_ANSWERED.all(
            self.session, family_id=family_id, from_generation=generation, now=utcnow
        )

    async def revoke(self, family_id: int, reason: RevocationReason, now: datetime) -> bool:
        """Whether it was this call that ended the family."""
        return bool(await self._end(RefreshToken.id == family_id, reason, now))

    async def delete_dead(self, *, before: datetime, batch: int) -> int:
        """Remove families that ended before the given time, at most `batch` of them."""
        dead = (
            select(RefreshToken.id)
            .where(
                or_(
                    RefreshToken.expires_at < before,
                    RefreshToken.idle_expires_at < before,
                    RefreshToken.revoked_at < before,
                )
            )
            .limit(batch)
        )
        result = await self.session.execute(
            delete(RefreshToken).where(RefreshToken.id.in_(dead)).returning(RefreshToken.id)
        )
        return len(result.all())

    async def _end(
        self, which: ColumnElement[bool], reason: RevocationReason, now: datetime
    ) -> Sequence[str]:
        """End those that have not been ended yet; their public ids."""
        result = await self.session.execute(
            update(RefreshToken)
            .where(which, RefreshToken.revoked_at.is_(None))
            .values(revoked_at=now, revoked_reason=reason)
            .returning(RefreshToken.public_id)
            .execution_options(synchronize_session=False)
        )
        return result.scalars().all()

    @staticmethod
    def _select_live(user_id: int, now: datetime) -> Select[RefreshToken]:
        return (
            select(RefreshToken)
            .join(User, User.id == RefreshToken.user_id)
            .where(
                RefreshToken.user_id == user_id,
                RefreshToken.expires_at > now,
                RefreshToken.idle_expires_at > now,
                *LIVE,
            )
            .order_by(RefreshToken.rotated_at.desc(), RefreshToken.id.desc())
        )
