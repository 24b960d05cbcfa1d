from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.pagination import PageRequest, Slice
from app.models.audit_event import AuditEvent
from app.repositories.base import BaseRepository, SortColumns
from app.repositories.filters import Filters, at_least, equals, equals_id, less_than


def _of_session(session: UUID) -> ColumnElement[bool]:
    """What was done in it, and its end."""
    in_it = AuditEvent.session_public_id == str(session)
    return or_(in_it, AuditEvent.ended_session_public_id == str(session))


SORTABLE: SortColumns = {"occurred_at": AuditEvent.occurred_at}
FILTERS: Filters = {
    "action": equals(AuditEvent.action),
    "outcome": equals(AuditEvent.outcome),
    "actor": equals_id(AuditEvent.actor_public_id),
    "account": equals_id(AuditEvent.account_public_id),
    "session": _of_session,
    "since": at_least(AuditEvent.occurred_at),
    "until": less_than(AuditEvent.occurred_at),
}


class AuditEventRepository(BaseRepository[AuditEvent]):
    def __init__(self, session: AsyncSession) -> None:
        super().__init__(AuditEvent, session)

    async def list_page(self, request: PageRequest) -> Slice[AuditEvent]:
        return await self._paginate(self._select(), request, SORTABLE, FILTERS)

    async def delete_older(self, *, before: datetime, batch: int) -> int:
        """Remove events that happened before the given time, at most `batch` of them."""
        old = select(AuditEvent.id).where(AuditEvent.occurred_at < before).limit(batch)
        result = await self.session.execute(
            delete(AuditEvent).where(AuditEvent.id.in_(old)).returning(AuditEvent.id)
        )
        return len(result.all())
