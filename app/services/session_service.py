"""The logins of one user: seen and ended by their owner."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import structlog

from app.core.exceptions import NotFoundError
from app.core.security.principal import Principal
from app.models.refresh_token import RefreshToken
from app.repositories.refresh_token_repository import RefreshTokenRepository

log = structlog.get_logger(__name__)


class SessionService:
    def __init__(self, refresh_token_repo: RefreshTokenRepository) -> None:
        self.refresh_token_repo = refresh_token_repo

    async def list_own(self, principal: Principal) -> Sequence[RefreshToken]:
        """The sessions that are still good, the one used last first."""
        return await self.refresh_token_repo.list_live(principal.user_id, _now())

    async def end(self, public_id: UUID, principal: Principal) -> None:
        """Raises `NotFoundError` for a session of somebody else, and for one that has ended."""
        ended = await self.refresh_token_repo.end_session(
            principal.user_id, public_id=str(public_id), now=_now()
        )
        if not ended:
            raise NotFoundError
        await self.refresh_token_repo.commit()
        log.info("session_ended", user=principal.public_id, session=str(public_id))

    async def end_others(self, principal: Principal) -> None:
        """End every session of the caller but the one that asks."""
        await self.refresh_token_repo.end_other_sessions(
            principal.user_id, keep=principal.claims.sid, now=_now()
        )
        await self.refresh_token_repo.commit()
        log.info("other_sessions_ended", user=principal.public_id)


def _now() -> datetime:
    return datetime.now(UTC)
