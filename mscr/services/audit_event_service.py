"""The audit log: written by other services, read by callers with the permission (ASVS v16.3)."""

from dataclasses import asdict, dataclass
from functools import partial
from typing import Final

import structlog

from mscr.core.client import Origin
from mscr.core.rate_limit import RequestLimiter
from mscr.core.security.principal import Principal
from mscr.db.after_commit import after_commit
from mscr.models.audit_event import Action, AuditEventMixin, AuditOutcome
from mscr.queries.pagination import Page, Pager
from mscr.repositories.audit_event_repository import AuditEventRepository
from mscr.schemas.audit_event_schemas import AuditEventListQuery

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Parties:
    """The actor, account and session of an event, by their public ids.

    `actor` is None if nobody proved who they are, and `account` if there is none. `ended_session`
    was ended from within `session`, and may be the same one.
    """

    actor: str | None = None
    account: str | None = None
    session: str | None = None
    ended_session: str | None = None

    @classmethod
    def owner(
        cls, account: str, session: str | None = None, *, ended_session: str | None = None
    ) -> "Parties":
        """Return the parties of a user who acts on their own account."""
        return cls(account, account, session, ended_session)


NOBODY: Final = Parties()


class AuditTrail:
    """Write the audit events of one request or command, with their origin.

    Warning: no argument may hold a secret, or text that a client sent.
    """

    def __init__(
        self, repo: AuditEventRepository, origin: Origin, *, requests: RequestLimiter
    ) -> None:
        self._repo = repo
        self.origin = origin
        self._requests = requests

    async def record(self, action: Action, parties: Parties, *, reason: str | None = None) -> None:
        """Record an action. The calling service commits both in one transaction.

        `reason` is for an action that nobody requested.
        """
        await self._write(action, AuditOutcome.SUCCESS, reason, parties)

    async def refuse(
        self, action: Action, reason: str, parties: Parties, *, once_for: str | None = None
    ) -> None:
        """Record a refusal and commit it, before the calling service raises.

        Warning: this rolls back the session first. Changes that it has not committed are lost, as
        they would be by the error: half of a refused use case must never be stored. Use
        `record_refusal` for a refusal with a change that must stay.

        `once_for` is the subject of a refusal that clients can repeat endlessly. It is audited at
        most once per subject and window; otherwise repeated refusals would fill the table.
        """
        if once_for is None:
            # In the same session: a second connection could wait for the locks of the first.
            await self._repo.rollback()
            await self.record_refusal(action, reason, parties)
            await self._repo.commit()
        else:
            await self._refuse_once(action, reason, parties, once_for)

    async def record_refusal(self, action: Action, reason: str, parties: Parties) -> None:
        """Record a refusal that changes something: a stolen token ends its session.

        The calling service commits both in one transaction, before it raises.
        """
        await self._write(action, AuditOutcome.FAILURE, reason, parties)

    async def _refuse_once(
        self, action: Action, reason: str, parties: Parties, subject: str
    ) -> None:
        # The store may be slow: hold no connection while waiting for it.
        await self._repo.release()
        if not await self._requests.is_news(action.value, reason, subject):
            return
        try:
            await self.record_refusal(action, reason, parties)
            await self._repo.commit()
        except BaseException:
            # Otherwise repeats would be deduplicated against an event that is in no log.
            await self._requests.forget_news(action.value, reason, subject)
            raise

    async def _write(
        self, action: Action, outcome: AuditOutcome, reason: str | None, parties: Parties
    ) -> None:
        client = self.origin.client
        await self._repo.create(
            action=action.value,
            outcome=outcome,
            reason=reason,
            operation=self.origin.operation,
            actor_public_id=parties.actor,
            account_public_id=parties.account,
            session_public_id=parties.session,
            ended_session_public_id=parties.ended_session,
            address=client.address,
            user_agent=client.user_agent,
            request_id=self.origin.request_id,
        )
        emit = log.info if outcome is AuditOutcome.SUCCESS else log.warning
        event = {"action": action.value, "outcome": outcome.value, "reason": reason}
        # Log after the commit: an action that is rolled back has not happened.
        after_commit(self._repo.session, partial(emit, "audit", **event, **asdict(parties)))


class AuditEventService:
    def __init__(self, repo: AuditEventRepository, *, pager: Pager) -> None:
        self.repo = repo
        self._pager = pager

    async def list_page(
        self, query: AuditEventListQuery, reader: Principal
    ) -> Page[AuditEventMixin]:
        request = self._pager.page_request(query, "audit-events", reader.public_id)
        found = await self.repo.list_page(request)
        return self._pager.page(found, request)
