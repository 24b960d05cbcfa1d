"""The logins of one user: seen and ended by their owner."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from app.core.exceptions import NotFoundError
from app.core.security.principal import Principal
from app.models.audit_event import AuditAction
from app.models.refresh_token import RefreshToken
from app.repositories.refresh_token_repository import RefreshTokenRepository
from app.services.audit_event_service import AuditTrail, Parties


class SessionService:
    def __init__(self, refresh_token_repo: RefreshTokenRepository, audit: AuditTrail) -> None:
        self.refresh_token_repo = refresh_token_repo
        self._audit = audit

    async def list_own(self, principal: Principal) -> Sequence[RefreshToken]:
        """The sessions that are still good, the one used last first."""
        return await self.refresh_token_repo.list_live(principal.user_id, _now())

    # Like logins, which end sessions too, both lock the account first: of two who lock the rows of
    # several sessions, one waits there. Their own session's is among them (app/db/own_writes.py).

    async def end(self, public_id: UUID, principal: Principal) -> None:
        """Raises `NotFoundError` for a session of somebody else, and for one that has ended."""
        await self.refresh_token_repo.lock_logins(principal.user_id)
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
        """End every session of the caller but the one that asks."""
        await self.refresh_token_repo.lock_logins(principal.user_id)
        if await self.refresh_token_repo.end_other_sessions(
            principal.user_id, keep=principal.session_id, now=_now()
        ):
            caller = Parties.owner(principal.public_id, principal.session_id)
            await self._audit.record(AuditAction.END_OTHER_SESSIONS, caller)
        await self.refresh_token_repo.commit()


def _now() -> datetime:
    return datetime.now(UTC)
