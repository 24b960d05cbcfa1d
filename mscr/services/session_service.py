"""The sessions of one user: list them, and end them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from mscr.core.exceptions import NotFoundError
from mscr.core.security.principal import Principal
from mscr.models.audit_event import AuditAction
from mscr.models.refresh_token import RefreshTokenMixin
from mscr.repositories.refresh_token_repository import RefreshTokenRepository
from mscr.services.audit_event_service import AuditTrail, Parties


class SessionService:
    def __init__(self, refresh_token_repo: RefreshTokenRepository, audit: AuditTrail) -> None:
        self.refresh_token_repo = refresh_token_repo
        self._audit = audit

    async def list_own(self, principal: Principal) -> Sequence[RefreshTokenMixin]:
        """Return the caller's live sessions, the most recently used first."""
        return await self.refresh_token_repo.list_live(principal.user_id, _now())

    # Like logins, which end sessions too, both methods lock the account before the rows of several
    # sessions, so that concurrent requests cannot deadlock. The row of the caller's own session is
    # among them (mscr/db/replica.py).

    async def end(self, public_id: UUID, principal: Principal) -> None:
        """End a session of the caller. Raises `NotFoundError` if it is not theirs or has ended."""
        await self.refresh_token_repo.lock_sessions(principal.user_id)
        ended = await self.refresh_token_repo.end_session(
            principal.user_id, public_id=str(public_id), now=_now()
        )
        if not ended:
            raise NotFoundError
        caller = Parties.owner(
            principal.public_id, principal.session_id, ended_session=str(public_id)
        )
        await self._audit.record(AuditAction.END_SESSION, caller)
        await self.refresh_token_repo.commit()

    async def end_others(self, principal: Principal) -> None:
        """End every session of the caller except the one of this request."""
        await self.refresh_token_repo.lock_sessions(principal.user_id)
        if await self.refresh_token_repo.end_other_sessions(
            principal.user_id, keep=principal.session_id, now=_now()
        ):
            caller = Parties.owner(principal.public_id, principal.session_id)
            await self._audit.record(AuditAction.END_OTHER_SESSIONS, caller)
        await self.refresh_token_repo.commit()


def _now() -> datetime:
    return datetime.now(UTC)
