from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import (
    ColumnElement,
    ColumnExpressionArgument,
    Select,
    and_,
    delete,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession

from mscr.core.client import Client
from mscr.models.base import utcnow
from mscr.models.refresh_token import RefreshTokenMixin, RevocationReason
from mscr.models.tables import Tables
from mscr.repositories.base import BaseRepository
from mscr.repositories.connection import ConnectionMixin
from mscr.repositories.token_rotation import RotationStatements, TokenFamily, live

# Ended by these, a session may have been a thief's.
_DISTRUSTED: Final = (RevocationReason.REUSE, RevocationReason.ENDED_BY_OWNER)


@dataclass(frozen=True, slots=True)
class EarlierSession:
    """A session of an account, live or ended, as a new login finds it.

    `vouches` is false if its owner or a detected reuse has ended it, or if all sessions have been
    ended since: its device is not known to be the owner's.
    """

    client: Client
    created_at: datetime
    is_live: bool
    vouches: bool


class RefreshTokenRepository(ConnectionMixin, BaseRepository[RefreshTokenMixin]):
    def __init__(self, session: AsyncSession, tables: Tables) -> None:
        super().__init__(tables.refresh_token, session)
        self._tables = tables
        self._statements = tables.prepared(RotationStatements)

    async def find_family(self, public_id: str) -> TokenFamily | None:
        """Return the family in any state, or None if there is none.

        The service distinguishes reuse, expiry and revocation by it.
        """
        row = await self._statements.find_family.one_or_none(
            self.session, family_public_id=public_id, now=utcnow
        )
        return None if row is None else TokenFamily(**row._asdict())

    async def lock_sessions(self, user_id: int) -> bool:
        """Make parallel logins of one user wait for each other, until this transaction ends.

        Return False if the account has been deleted.

        Otherwise two of them would each count the sessions without the other's, and together
        exceed the limit.
        """
        # FOR NO KEY UPDATE, not FOR UPDATE: rows that refer to the user can be inserted meanwhile.
        statement = (
            select(self._tables.user.id)
            .where(self._tables.user.id == user_id, self._tables.user.is_deleted.is_(False))
            .with_for_update(key_share=True)
        )
        return await self.session.scalar(statement) is not None

    async def list_live(self, user_id: int, now: datetime) -> Sequence[RefreshTokenMixin]:
        """Return the user's live sessions, the most recently used first."""
        return (await self.session.scalars(self._select_live(user_id, now))).all()

    async def list_earlier(
        self, user_id: int, *, now: datetime, limit: int
    ) -> Sequence[EarlierSession]:
        """Return the user's newest sessions in any state, the live ones first.

        After `lock_sessions`, they include those of logins that were concurrent.
        """
        sessions, user = self.model, self._tables.user
        is_live = and_(*self._is_live(now)).label("is_live")
        statement = (
            select(
                sessions.address,
                sessions.user_agent,
                sessions.created_at,
                is_live,
                and_(
                    sessions.auth_version == user.auth_version,
                    or_(
                        sessions.revoked_reason.is_(None),
                        sessions.revoked_reason.not_in(_DISTRUSTED),
                    ),
                ).label("vouches"),
            )
            .join(user, user.id == sessions.user_id)
            .where(sessions.user_id == user_id)
            .order_by(is_live.desc(), sessions.rotated_at.desc(), sessions.id.desc())
            .limit(limit)
        )
        return [
            EarlierSession(
                Client(row.address or "", row.user_agent), row.created_at, row.is_live, row.vouches
            )
            for row in await self.session.execute(statement)
        ]

    async def find_address(self, user_id: int) -> str | None:
        """Return the address to which mails of an account go, or None if it has been deleted."""
        user = self._tables.user
        statement = select(user.email).where(user.id == user_id, user.is_deleted.is_(False))
        found: str | None = await self.session.scalar(statement)
        return found

    async def end_oldest(self, user_id: int, *, keep: int, now: datetime) -> Sequence[str]:
        """End all but the `keep` most recently used sessions of the user.

        Return the public ids of the ended sessions.
        """
        surplus = self._select_live(user_id, now).with_only_columns(self.model.id).offset(keep)
        return await self._end(self.model.id.in_(surplus), RevocationReason.SESSION_LIMIT, now)

    async def end_session(self, user_id: int, *, public_id: str, now: datetime) -> bool:
        """End one session of the user. Return False if the user has no such live session."""
        one = self._select_live(user_id, now).where(self.model.public_id == public_id)
        found = self.model.id.in_(one.with_only_columns(self.model.id).order_by(None))
        return bool(await self._end(found, RevocationReason.ENDED_BY_OWNER, now))

    async def end_other_sessions(self, user_id: int, *, keep: str, now: datetime) -> bool:
        """End all sessions of the user except `keep`. Return False if none was left to end."""
        others = (self.model.user_id == user_id) & (self.model.public_id != keep)
        return bool(await self._end(others, RevocationReason.ENDED_BY_OWNER, now))

    async def end_any(self, *, now: datetime, batch: int) -> int:
        """End at most `batch` sessions of any users. Return how many were ended."""
        living = (self.model.revoked_at.is_(None), self.model.expires_at > now)
        some = select(self.model.id).where(*living).limit(batch)
        which = self.model.id.in_(some)
        return len(await self._end(which, RevocationReason.ENDED_BY_OPERATOR, now))

    async def mark_authenticated(self, public_id: str, now: datetime) -> None:
        """Record that the user has proved the password in this session."""
        await self.session.execute(
            update(self.model)
            .where(self.model.public_id == public_id)
            .values(authenticated_at=now)
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
        """Compare and swap: advance the family from `generation` to the next one, and commit.

        Return True to exactly one of any number of parallel requests with the same token. False
        means that another request was first, or that the session has ended or expired.
        """
        rotated = await self._statements.rotate.one_or_none(
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
        """Record, and commit, that the token of `generation` is about to be sent to a client.

        From this time on, a request with the predecessor counts as reuse (unless the interval
        excuses it): its sender could have known the successor. The first of several parallel
        requests sets the time. A later time would excuse a replay in between.
        """
        await self._statements.mark_answered.all(
            self.session, family_id=family_id, from_generation=generation, now=utcnow
        )

    async def revoke(self, family_id: int, reason: RevocationReason, now: datetime) -> bool:
        """End the family. Return False if it had been ended before."""
        return bool(await self._end(self.model.id == family_id, reason, now))

    async def delete_dead(self, *, before: datetime, batch: int) -> int:
        """Hard-delete at most `batch` families that expired or were revoked before this time."""
        dead = (
            select(self.model.id)
            .where(
                or_(
                    self.model.expires_at < before,
                    self.model.idle_expires_at < before,
                    self.model.revoked_at < before,
                )
            )
            .limit(batch)
        )
        result = await self.session.execute(
            delete(self.model).where(self.model.id.in_(dead)).returning(self.model.id)
        )
        return len(result.all())

    async def _end(
        self, which: ColumnElement[bool], reason: RevocationReason, now: datetime
    ) -> Sequence[str]:
        """End the matching families, except those ended before. Return their public ids."""
        result = await self.session.execute(
            update(self.model)
            .where(which, self.model.revoked_at.is_(None))
            .values(revoked_at=now, revoked_reason=reason)
            .returning(self.model.public_id)
            .execution_options(synchronize_session=False)
        )
        return result.scalars().all()

    def _select_live(self, user_id: int, now: datetime) -> Select[RefreshTokenMixin]:
        return (
            select(self.model)
            .join(self._tables.user, self._tables.user.id == self.model.user_id)
            .where(self.model.user_id == user_id, *self._is_live(now))
            .order_by(self.model.rotated_at.desc(), self.model.id.desc())
        )

    def _is_live(self, now: datetime) -> tuple[ColumnExpressionArgument[bool], ...]:
        return (
            self.model.expires_at > now,
            self.model.idle_expires_at > now,
            *live(self._tables),
        )
