from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, delete, func, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.client import Client
from app.models.base import UTCDateTime, utcnow
from app.models.refresh_token import RefreshToken, RevocationReason
from app.models.user import User
from app.repositories.base import BaseRepository


@dataclass(frozen=True, slots=True)
class TokenFamily:
    """A family as one statement saw it, with what its user says about it.

    `answered_at` and `read_at` are by the clock that all processes share, `asked_at` is the same
    moment as `read_at` by this process's own.
    """

    id: int
    public_id: str
    user_id: int
    user_public_id: str
    seed: bytes
    generation: int
    rotated_at: datetime
    answered_at: datetime | None
    expires_at: datetime
    idle_expires_at: datetime
    is_live: bool
    read_at: datetime
    asked_at: datetime


class RefreshTokenRepository(BaseRepository[RefreshToken]):
    def __init__(self, session: AsyncSession) -> None:
        super().__init__(RefreshToken, session)

    async def find_family(self, public_id: str) -> TokenFamily | None:
        """Whatever its state: the caller tells reuse from expiry by it."""
        live = select(1).where(*LIVE).correlate(RefreshToken, User).exists()
        shared_clock, own_clock = await self._clocks()
        statement = (
            select(
                RefreshToken.id,
                RefreshToken.public_id,
                RefreshToken.user_id,
                User.public_id.label("user_public_id"),
                RefreshToken.seed,
                RefreshToken.generation,
                RefreshToken.rotated_at,
                RefreshToken.answered_at,
                RefreshToken.expires_at,
                RefreshToken.idle_expires_at,
                live.label("is_live"),
                shared_clock.label("read_at"),
                literal(own_clock, UTCDateTime()).label("asked_at"),
            )
            .join(User, User.id == RefreshToken.user_id)
            .where(RefreshToken.public_id == public_id)
        )
        row = (await self.session.execute(statement)).one_or_none()
        return None if row is None else TokenFamily(**row._asdict())

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
        """Compare and swap: of any number of parallel callers, exactly one gets True."""
        result = await self.session.execute(
            update(RefreshToken)
            .where(
                RefreshToken.id == family_id,
                RefreshToken.generation == generation,
                RefreshToken.revoked_at.is_(None),
                RefreshToken.is_deleted.is_(False),
                RefreshToken.expires_at > now,
                RefreshToken.idle_expires_at > now,
                select(User.id)
                .where(User.id == RefreshToken.user_id, *_LIVE_USER)
                .correlate(RefreshToken)
                .exists(),
            )
            .values(
                generation=generation + 1,
                rotated_at=now,
                answered_at=None,
                idle_expires_at=idle_expires_at,
                address=client.address,
                user_agent=client.user_agent,
            )
            .returning(RefreshToken.id)
            .execution_options(synchronize_session=False)
        )
        return result.one_or_none() is not None

    async def mark_answered(self, family_id: int, *, generation: int) -> None:
        """From now on, whoever brings the predecessor could have known its successor.

        The first of several callers decides: a later time would excuse a replay in between.
        """
        shared_clock, _ = await self._clocks()
        await self.session.execute(
            update(RefreshToken)
            .where(
                RefreshToken.id == family_id,
                RefreshToken.generation == generation,
                RefreshToken.answered_at.is_(None),
            )
            .values(answered_at=shared_clock)
            .execution_options(synchronize_session=False)
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

    async def _clocks(self) -> tuple[ColumnElement[datetime], datetime]:
        """The time for ordering what several processes do, and the same time by our own clock.

        The first is PostgreSQL's. SQLite's processes share a machine, and so its clock.
        """
        # The wait for a connection, on SQLite for the write lock too, comes before the time.
        connection = await self.session.connection()
        # Asked once: two times that differ by a pause of a busy machine would look like clocks
        # that differ, and excuse a replay that came within it.
        own_clock = utcnow()
        if connection.dialect.name == "postgresql":
            return func.clock_timestamp(type_=UTCDateTime()), own_clock
        return literal(own_clock, UTCDateTime()), own_clock


# Active, not deleted, and no "end all sessions" since the login.
_LIVE_USER = (
    User.is_active,
    User.is_deleted.is_(False),
    User.auth_version == RefreshToken.auth_version,
)
LIVE = (RefreshToken.revoked_at.is_(None), RefreshToken.is_deleted.is_(False), *_LIVE_USER)
