"""The audit log: written by other services, read by those who may (ASVS v16.3)."""

from dataclasses import asdict, dataclass
from functools import partial
from typing import Final

import structlog

from app.core.client import Origin
from app.core.pagination import Page, Pager
from app.core.rate_limit import RequestLimiter
from app.core.security.principal import Principal
from app.models.audit_event import AuditAction, AuditEvent, AuditOutcome
from app.repositories.audit_event_repository import AuditEventRepository
from app.schemas.audit_event_schemas import AuditEventListQuery

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Parties:
    """Who acted on whose account, in which session, by their public ids.

    No actor: nobody proved who they are. No account: there is none. An ended session is one that
    was ended from within the other, which may be the same.
    """

    actor: str | None = None
    account: str | None = None
    session: str | None = None
    ended_session: str | None = None

    @classmethod
    def owner(
        cls, account: str, session: str | None = None, *, ended_session: str | None = None
    ) -> "Parties":
        """Somebody who acts on the account that is theirs."""
        return cls(account, account, session, ended_session)


NOBODY: Final = Parties()


class AuditTrail:
    """Writes what happens in one request or command, beside where it came from.

    No argument may hold a secret, or text that a client sent.
    """

    def __init__(
        self, repo: AuditEventRepository, origin: Origin, *, requests: RequestLimiter
    ) -> None:
        self._repo = repo
        self._origin = origin
        self._requests = requests

    async def record(
        self, action: AuditAction, parties: Parties, *, reason: str | None = None
    ) -> None:
        """Note what was done. The caller commits it together with what it did.

        What nobody asked for has a `reason`.
        """
        await self._write(action, AuditOutcome.SUCCESS, reason, parties)

    async def refuse(
        self, action: AuditAction, reason: str, parties: Parties, *, once_for: str | None = None
    ) -> None:
        """Note what was refused and commit, before the caller raises.

        What clients can repeat without end names in `once_for` whom it is counted for, and is
        written once in a while. Or refusals would fill the table. It is then all that is written:
        what else is pending is lost.
        """
        if once_for is None:
            await self._write(action, AuditOutcome.FAILURE, reason, parties)
            await self._repo.commit()
        else:
            await self._refuse_once(action, reason, parties, once_for)

    async def _refuse_once(
        self, action: AuditAction, reason: str, parties: Parties, subject: str
    ) -> None:
        # The store may take its time: that must not keep a connection from others.
        await self._repo.release()
        if not await self._requests.is_news(action.value, reason, subject):
            return
        try:
            await self._write(action, AuditOutcome.FAILURE, reason, parties)
            await self._repo.commit()
        except BaseException:
            # Or it would be no news any more, and in no log.
            await self._requests.forget_news(action.value, reason, subject)
            raise

    async def _write(
        self, action: AuditAction, outcome: AuditOutcome, reason: str | None, parties: Parties
    ) -> None:
        client = self._origin.client
        await self._repo.create(
            action=action.value,
            outcome=outcome.value,
            reason=reason,
            operation=self._origin.operation,
            actor_public_id=parties.actor,
            account_public_id=parties.account,
            session_public_id=parties.session,
            ended_session_public_id=parties.ended_session,
            address=client.address,
            user_agent=client.user_agent,
            request_id=self._origin.request_id,
        )
        emit = log.info if outcome is AuditOutcome.SUCCESS else log.warning
        told = {"action": action.value, "outcome": outcome.value, "reason": reason}
        # What is rolled back has not happened.
        self._repo.after_commit(partial(emit, "audit", **told, **asdict(parties)))


class AuditEventService:
    def __init__(self, repo: AuditEventRepository, *, pager: Pager) -> None:
        self.repo = repo
        self._pager = pager

    async def list_page(self, query: AuditEventListQuery, reader: Principal) -> Page[AuditEvent]:
        request = self._pager.open(query, "audit-events", reader.public_id)
        found = await self.repo.list_page(request)
        return self._pager.close(found, request)
