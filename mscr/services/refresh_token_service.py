"""Sessions: start, refresh token rotation, reuse detection, end (RFC 9700 §4.14, ASVS v10.4.5)."""

import asyncio
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NoReturn

import structlog

from mscr.core.client import Client
from mscr.core.config import Settings
from mscr.core.exceptions import InvalidRefreshTokenError, TooManyRequestsError, UnauthorizedError
from mscr.core.notices import Notice
from mscr.core.rate_limit import RequestLimiter
from mscr.core.security.jwt import JWTService
from mscr.core.security.refresh_token import (
    SEED_BYTES,
    IssuedTokens,
    ParallelUses,
    PresentedToken,
    RefreshTokenCodec,
)
from mscr.models.account import AccountMixin
from mscr.models.audit_event import Action, AuditAction
from mscr.models.refresh_token import RevocationReason
from mscr.repositories.refresh_token_repository import RefreshTokenRepository
from mscr.repositories.token_rotation import TokenFamily
from mscr.services.account_notices import SEARCHED_SESSIONS, AccountNotices
from mscr.services.audit_event_service import NOBODY, AuditTrail, Parties

log = structlog.get_logger(__name__)

# With an interval of 0, a request that arrives after the first response counts as reuse. When
# several callers refresh at once, the first response therefore waits for the requests in flight.
GATHERING_TIME: Final = timedelta(milliseconds=100)


class RefreshTokenService:
    """Start, rotate and end sessions. Only the use cases `rotate` and `revoke` commit."""

    def __init__(  # noqa: PLR0913  # its collaborators, most of them by name
        self,
        repo: RefreshTokenRepository,
        audit: AuditTrail,
        *,
        codec: RefreshTokenCodec,
        parallel_uses: ParallelUses,
        access_tokens: JWTService,
        requests: RequestLimiter,
        settings: Settings,
        notices: AccountNotices | None = None,
    ) -> None:
        self.repo = repo
        self._audit = audit
        self._notices = notices
        self._codec = codec
        self._parallel_uses = parallel_uses
        self._access_tokens = access_tokens
        self._requests = requests
        self._limit = settings.MAX_SESSIONS_PER_USER
        watches = notices is not None and notices.wants(Notice.NEW_DEVICE)
        self._searched = SEARCHED_SESSIONS if watches else 0
        self._lifetime = settings.refresh_token_lifetime
        self._idle_lifetime = settings.refresh_token_idle_lifetime
        self._reuse_interval = settings.refresh_token_reuse_interval

    async def start_family(self, user: AccountMixin, client: Client, cause: Action) -> IssuedTokens:
        """Start a session, and end the user's oldest ones beyond the limit (ASVS v7.1.2).

        The session keeps the `auth_version` that `user` was read with, so that ending all sessions
        concurrently ends this one too. `cause` goes into the audit log. Raises `UnauthorizedError`
        if the account was deleted meanwhile: its client's address must not be stored any more.
        """
        now = _now()
        # Lock the account: parallel logins would not see each other, and together exceed the limit.
        if not await self.repo.lock_sessions(user.id):
            raise UnauthorizedError
        earlier = await self.repo.list_earlier(user.id, now=now, limit=self._limit + self._searched)
        ended: Sequence[str] = ()
        if sum(each.is_live for each in earlier) >= self._limit:
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
        await self._audit_ended(ended, user.public_id, family.public_id)
        if self._notices is not None and cause is AuditAction.LOGIN:
            await self._notices.login(user, client, earlier)
        return self._tokens(
            family.public_id, user.public_id, seed, generation=0, now=now, ends_at=idle_expires_at
        )

    async def rotate(self, token: str, *, arrived_at: datetime, client: Client) -> IssuedTokens:
        """Exchange the newest token of a family for its successor.

        An older token is reuse: the family is revoked and that is committed, before
        `InvalidRefreshTokenError` is raised. A token that is newer than the row, after a restore
        of the database, is refused and revokes nothing. `arrived_at` is when the request came in:
        concurrent requests with one token all get the same successor.
        """
        presented = self._codec.parse(token)
        await self._count_attempt(presented, client)
        if presented is None:
            _raise_refused("malformed")
        with self._parallel_uses.count(presented.family):
            return await self._rotate(presented, arrived_at, client)

    async def _rotate(
        self, presented: PresentedToken, arrived_at: datetime, client: Client
    ) -> IssuedTokens:
        with self.repo.shared_connection():
            family = await self._authenticate(presented)
            now = _now()
            idle_expires_at = min(family.expires_at, now + self._idle_lifetime)
            # Compare-and-swap on the generation: of concurrent requests with one token, one wins.
            if await self.repo.rotate(
                family.id,
                generation=presented.generation,
                now=now,
                idle_expires_at=idle_expires_at,
                client=client,
            ):
                successor = presented.generation + 1
                tokens = self._issue_generation(family, successor, now=now, ends_at=idle_expires_at)
                # This releases the connection if it waits.
                await self._mark_answered(family, successor)
                return tokens
        return await self._retry_or_reuse(presented, arrived_at, client)

    async def revoke(self, token: str, client: Client) -> None:
        """End the session that a token of any generation belongs to.

        Unknown tokens are ignored (RFC 7009 §2.2). Raises `TooManyRequestsError`.
        """
        await self._requests.count_anonymous(client.address)
        presented = self._codec.parse(token)
        family = await self.repo.find_family(presented.family) if presented else None
        if presented and family and self._codec.verify(presented, family.seed):
            await self._end(family, is_newest=presented.generation >= family.generation)
        await self.repo.commit()

    async def mark_authenticated(self, session_id: str) -> None:
        """Record that the password was proved again. The calling service commits."""
        await self.repo.mark_authenticated(session_id, _now())

    async def _audit_ended(self, sessions: Sequence[str], owner: str, new_session: str) -> None:
        for session in sessions:
            parties = Parties.owner(owner, new_session, ended_session=session)
            reason = RevocationReason.SESSION_LIMIT.value
            await self._audit.record(AuditAction.END_SESSION, parties, reason=reason)

    async def _end(self, family: TokenFamily, *, is_newest: bool) -> None:
        if await self.repo.revoke(family.id, RevocationReason.LOGOUT, _now()):
            # An earlier token may be a thief's: it ends the session, but is no proof of its owner.
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
            _raise_refused("unknown_family")
        if not self._codec.verify(presented, family.seed):
            # A guess, or garbage after a family's id: it must not end anybody's session.
            _raise_refused("bad_mac", session=family.public_id)
        return family

    async def _mark_answered(self, family: TokenFamily, generation: int) -> None:
        # Without an interval, let the other requests in flight arrive before the first response.
        if not self._reuse_interval and self._parallel_uses.are_several(family.public_id):
            await self.repo.release()
            await asyncio.sleep(GATHERING_TIME.total_seconds())
        await self.repo.mark_answered(family.id, generation=generation)

    async def _retry_or_reuse(
        self, presented: PresentedToken, arrived_at: datetime, client: Client
    ) -> IssuedTokens:
        """Return the successor again for a retry; end the session for a reuse."""
        # Read the family again: another request has rotated it or ended the session meanwhile.
        family = await self._authenticate(presented)
        now = _now()
        if not family.is_live:
            await self._record_and_raise(family, "revoked")
        ends_at = min(family.expires_at, family.idle_expires_at)
        if ends_at <= now:
            await self._record_and_raise(family, "expired")
        if presented.generation > family.generation:
            # Issued, and then lost: the database is a restored backup, or a replica that was
            # promoted without the last writes. This is no replay.
            await self._record_and_raise(family, "newer_than_database")
        is_predecessor = presented.generation == family.generation - 1
        if is_predecessor and self._is_retry(family, arrived_at, now):
            # Mark the successor as returned before the first response with it, whichever request
            # rotated: the process of that request may be slow, or dead.
            if family.answered_at is None:
                await self._mark_answered(family, family.generation)
            return self._issue_generation(family, family.generation, now=now, ends_at=ends_at)
        # Reuse of a token that was already exchanged, by the owner or a thief: end the session.
        is_first = await self.repo.revoke(family.id, RevocationReason.REUSE, now)
        await self._audit.record_refusal(AuditAction.REFRESH, "reuse_detected", _parties(family))
        if is_first:
            await self._notify_of_reuse(family, client)
        # The error raised next would roll the revocation back.
        await self.repo.commit()
        raise InvalidRefreshTokenError

    async def _notify_of_reuse(self, family: TokenFamily, client: Client) -> None:
        if self._notices is None or not self._notices.wants(Notice.REUSE_DETECTED):
            return
        recipient = await self.repo.find_address(family.user_id)
        if recipient is not None:
            await self._notices.reuse_detected(recipient, client)

    async def _record_and_raise(self, family: TokenFamily, reason: str) -> NoReturn:
        """Refuse a token that was valid once; unlike garbage, it identifies a session."""
        await self._audit.refuse(
            AuditAction.REFRESH, reason, _parties(family), once_for=family.public_id
        )
        raise InvalidRefreshTokenError

    def _is_retry(self, family: TokenFamily, arrived_at: datetime, now: datetime) -> bool:
        """Decide whether an honest client may send the predecessor: its retry, not a replay."""
        # No client has received the successor yet.
        if family.answered_at is None:
            return True
        # The response may have been lost, or a second tab sent the same token.
        # Absolute: if this process's clock is behind, the rotation is in the future.
        if abs(now - family.rotated_at) < self._reuse_interval:
            return True
        # The request was in flight when the successor was first returned, so its sender could not
        # know the successor. Convert the arrival from this process's clock to the shared one.
        arrived_at += family.read_at - family.read_at_locally
        # If `answered_at` is after `read_at`, the shared clock was set back: trust no times.
        return arrived_at <= family.answered_at <= family.read_at

    def _issue_generation(
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
    """Return the session and its account, without an actor: the bearer may be a thief."""
    return Parties(account=family.user_public_id, session=family.public_id)


def _raise_refused(reason: str, **details: str) -> NoReturn:
    """Log the reason and raise the same error for every reason (ASVS v16.3.3)."""
    log.warning("refresh_token_refused", reason=reason, **details)
    raise InvalidRefreshTokenError


def _now() -> datetime:
    return datetime.now(UTC)
