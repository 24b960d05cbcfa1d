"""Token families: how a login starts, is renewed, and ends (RFC 9700 §4.14, ASVS v10.4.5)."""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, NoReturn

import structlog

from app.core.client import Client
from app.core.config import Settings
from app.core.exceptions import InvalidRefreshTokenError, TooManyRequestsError
from app.core.rate_limit import RequestLimiter
from app.core.security.jwt import JWTService
from app.core.security.refresh_token import (
    SEED_BYTES,
    ParallelUses,
    PresentedToken,
    RefreshTokenCodec,
)
from app.models.audit_event import AuditAction
from app.models.refresh_token import RevocationReason
from app.models.user import User
from app.repositories.refresh_token_repository import RefreshTokenRepository
from app.repositories.token_rotation import TokenFamily
from app.services.audit_event_service import NOBODY, AuditTrail, Parties

log = structlog.get_logger(__name__)

# With an interval of 0, a request that arrives after the first response counts as reuse. When
# several callers refresh at once, the first response therefore waits for the requests in flight.
GATHERING_TIME: Final = timedelta(milliseconds=100)


@dataclass(frozen=True, slots=True)
class IssuedTokens:
    """What a login or a refresh gives. How it travels is decided in the routers.

    `expires_in` is the access token's lifetime in seconds, by RFC 6749's name; `session_lifetime`
    is what is left of the session unless it is refreshed before.
    """

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int
    session_lifetime: timedelta


class RefreshTokenService:
    """Used by other services. Only `rotate` and `revoke`, use cases of their own, commit."""

    def __init__(
        self,
        repo: RefreshTokenRepository,
        audit: AuditTrail,
        *,
        codec: RefreshTokenCodec,
        parallel_uses: ParallelUses,
        access_tokens: JWTService,
        requests: RequestLimiter,
        settings: Settings,
    ) -> None:
        self.repo = repo
        self._audit = audit
        self._codec = codec
        self._parallel_uses = parallel_uses
        self._access_tokens = access_tokens
        self._requests = requests
        self._limit = settings.MAX_SESSIONS_PER_USER
        self._lifetime = settings.refresh_token_lifetime
        self._idle_lifetime = settings.refresh_token_idle_lifetime
        self._reuse_interval = settings.refresh_token_reuse_interval

    async def start_family(self, user: User, client: Client, cause: AuditAction) -> IssuedTokens:
        """Start a login, which ends the oldest ones beyond the limit (ASVS v7.1.2).

        It keeps the `auth_version` that `user` was read with, so that whoever ends all sessions
        meanwhile ends this one too. `cause` goes into the audit log.
        """
        now = _now()
        # Or parallel logins would not see each other, and exceed the limit together.
        await self.repo.lock_logins(user.id)
        ended = await self.repo.end_oldest(user.id, keep=self._limit - 1, now=now)
        seed = secrets.token_bytes(SEED_BYTES)
        expires_at = now + self._lifetime
        idle_expires_at = min(expires_at, now + self._idle_lifetime)
        family = await self.repo.create(
            user_id=user.id,
            auth_version=user.auth_version,
            seed=seed,
            expires_at=expires_at,
            idle_expires_at=idle_expires_at,
            address=client.address,
            user_agent=client.user_agent,
            authenticated_at=now,
            rotated_at=now,
        )
        await self._audit.record(cause, Parties.owner(user.public_id, family.public_id))
        await self._tell_ended(ended, user.public_id, family.public_id)
        return self._tokens(
            family.public_id, user.public_id, seed, generation=0, now=now, ends_at=idle_expires_at
        )

    async def rotate(self, token: str, *, arrived_at: datetime, client: Client) -> IssuedTokens:
        """Exchange the newest token of a family for its successor.

        An older one is reuse: the family is revoked, and that is committed, before
        `InvalidRefreshTokenError` is raised. A token that is newer than the row, after a restore,
        is refused and revokes nothing. `arrived_at` is when the request came in: callers
        that use one token at the same time all get the same successor.
        """
        presented = self._codec.parse(token)
        await self._count_attempt(presented, client)
        if presented is None:
            _refuse("malformed")
        with self._parallel_uses.count(presented.family):
            return await self._rotate(presented, arrived_at, client)

    async def _rotate(
        self, presented: PresentedToken, arrived_at: datetime, client: Client
    ) -> IssuedTokens:
        with self.repo.one_connection():
            family = await self._authenticate(presented)
            now = _now()
            idle_expires_at = min(family.expires_at, now + self._idle_lifetime)
            if await self.repo.rotate(
                family.id,
                generation=presented.generation,
                now=now,
                idle_expires_at=idle_expires_at,
                client=client,
            ):
                successor = presented.generation + 1
                tokens = self._successor(family, successor, now=now, ends_at=idle_expires_at)
                # Gives the connection back if it waits.
                await self._mark_answered(family, successor)
                return tokens
        return await self._without_rotation(presented, arrived_at)

    async def revoke(self, token: str, client: Client) -> None:
        """End the login that a token of any generation belongs to.

        Unknown tokens are ignored (RFC 7009 §2.2). Raises `TooManyRequestsError`.
        """
        await self._requests.count_stranger(client.address)
        presented = self._codec.parse(token)
        family = await self.repo.find_family(presented.family) if presented else None
        if presented and family and self._codec.verify(presented, family.seed):
            await self._end(family, is_newest=presented.generation >= family.generation)
        await self.repo.commit()

    async def mark_authenticated(self, session_id: str) -> None:
        """Note that the password was proved once more. The caller commits."""
        await self.repo.mark_authenticated(session_id, _now())

    async def forget_clients(self, user_id: int) -> None:
        """Remove what sessions say about a person. The caller commits."""
        await self.repo.forget_clients(user_id)

    async def _tell_ended(self, sessions: Sequence[str], owner: str, new_session: str) -> None:
        for session in sessions:
            parties = Parties.owner(owner, new_session, ended_session=session)
            reason = RevocationReason.SESSION_LIMIT.value
            await self._audit.record(AuditAction.END_SESSION, parties, reason=reason)

    async def _end(self, family: TokenFamily, *, is_newest: bool) -> None:
        if await self.repo.revoke(family.id, RevocationReason.LOGOUT, _now()):
            # An earlier token may be a thief's: it ends the login, and proves no owner.
            owner = Parties.owner(family.user_public_id, family.public_id)
            await self._audit.record(AuditAction.LOGOUT, owner if is_newest else _parties(family))

    async def _count_attempt(self, presented: PresentedToken | None, client: Client) -> None:
        try:
            session = presented.family if presented else "malformed"
            await self._requests.count_refresh(session, client.address)
        except TooManyRequestsError as error:
            await self._audit.refuse(
                AuditAction.REFRESH, error.code, NOBODY, once_for=error.counter
            )
            raise

    async def _authenticate(self, presented: PresentedToken) -> TokenFamily:
        family = await self.repo.find_family(presented.family)
        if family is None:
            _refuse("unknown_family")
        if not self._codec.verify(presented, family.seed):
            # A guess, or garbage with a family's id in front: it must not end anybody's login.
            _refuse("bad_mac", session=family.public_id)
        return family

    async def _mark_answered(self, family: TokenFamily, generation: int) -> None:
        if not self._reuse_interval and self._parallel_uses.are_several(family.public_id):
            await self.repo.release()
            await asyncio.sleep(GATHERING_TIME.total_seconds())
        await self.repo.mark_answered(family.id, generation=generation)

    async def _without_rotation(
        self, presented: PresentedToken, arrived_at: datetime
    ) -> IssuedTokens:
        # Anew: another request has rotated, or ended the login, since it was looked at.
        family = await self._authenticate(presented)
        now = _now()
        if not family.is_live:
            await self._refuse_genuine(family, "revoked")
        ends_at = min(family.expires_at, family.idle_expires_at)
        if ends_at <= now:
            await self._refuse_genuine(family, "expired")
        if presented.generation > family.generation:
            # Issued, and then forgotten: the database is a restored backup, or a replica that was
            # promoted without its last writes. Nobody replayed anything.
            await self._refuse_genuine(family, "newer_than_database")
        is_predecessor = presented.generation == family.generation - 1
        if is_predecessor and self._is_excused(family, arrived_at, now):
            # Whoever hands the successor out first says so first, be it not the one who rotated:
            # that process may be slow, or dead.
            if family.answered_at is None:
                await self._mark_answered(family, family.generation)
            return self._successor(family, family.generation, now=now, ends_at=ends_at)
        await self.repo.revoke(family.id, RevocationReason.REUSE, now)
        # Committed with the audit log, before it raises: which would roll the revocation back.
        await self._audit.refuse(AuditAction.REFRESH, "reuse_detected", _parties(family))
        raise InvalidRefreshTokenError

    async def _refuse_genuine(self, family: TokenFamily, reason: str) -> NoReturn:
        """Refuse a token that was good once; unlike garbage, it names a login."""
        await self._audit.refuse(
            AuditAction.REFRESH, reason, _parties(family), once_for=family.public_id
        )
        raise InvalidRefreshTokenError

    def _is_excused(self, family: TokenFamily, arrived_at: datetime, now: datetime) -> bool:
        """Whether the bearer cannot have known the successor, or is let off by the interval."""
        if family.answered_at is None:
            return True
        # Absolute: with a clock that is behind, a rotation seems to be yet to come.
        if abs(now - family.rotated_at) < self._reuse_interval:
            return True
        arrived_at += family.read_at - family.asked_at
        # An answer that is yet to come: the shared clock was set back.
        return arrived_at <= family.answered_at <= family.read_at

    def _successor(
        self, family: TokenFamily, generation: int, *, now: datetime, ends_at: datetime
    ) -> IssuedTokens:
        return self._tokens(
            family.public_id,
            family.user_public_id,
            family.seed,
            generation=generation,
            now=now,
            ends_at=ends_at,
        )

    def _tokens(
        self,
        family: str,
        user: str,
        seed: bytes,
        *,
        generation: int,
        now: datetime,
        ends_at: datetime,
    ) -> IssuedTokens:
        return IssuedTokens(
            access_token=self._access_tokens.create_access_token(
                subject=user, session=family, now=now
            ),
            refresh_token=self._codec.issue(family=family, generation=generation, seed=seed),
            expires_in=int(self._access_tokens.lifetime.total_seconds()),
            session_lifetime=ends_at - now,
        )


def _parties(family: TokenFamily) -> Parties:
    """Whose login it is. Who brought the token may be somebody else."""
    return Parties(account=family.user_public_id, session=family.public_id)


def _refuse(reason: str, **details: str) -> NoReturn:
    """One answer outside, distinct events inside (ASVS v16.3.3)."""
    log.warning("refresh_token_refused", reason=reason, **details)
    raise InvalidRefreshTokenError


def _now() -> datetime:
    return datetime.now(UTC)
