from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.pagination import PageRequest, Slice
from app.models.audit_event import AuditEvent
from app.repositories.base import BaseRepository, SortColumns

SORTABLE: SortColumns = {"occurred_at": AuditEvent.occurred_at}


class AuditEventRepository(BaseRepository[AuditEvent]):
    def __init__(self, session: AsyncSession) -> None:
        super().__init__(AuditEvent, session)

    async def list_page(
        self,
        request: PageRequest,
        *,
        equal: Mapping[str, Any],
        session: str | None,
        since: datetime | None,
        until: datetime | None,
    ) -> Slice[AuditEvent]:
        """Events whose columns equal the given values, from `since` on and before `until`.

        Those of a session are what was done in it, and its end.
        """
        statement = self._select().filter_by(**equal)
        if session is not None:
            in_it = AuditEvent.session_public_id == session
            statement = statement.where(or_(in_it, AuditEvent.ended_session_public_id == session))
        if since is not None:
            statement = statement.where(AuditEvent.occurred_at >= since)
        if until is not None:
            statement = statement.where(AuditEvent.occurred_at < until)
        return await self._paginate(statement, request, SORTABLE)

    async def delete_older(self, *, before: datetime, batch: int) -> int:
        """Remove events that happened before the given time, at most `batch` of them."""
        old = select(AuditEvent.id).where(AuditEvent.occurred_at < before).limit(batch)
        result = await self.session.execute(
            delete(AuditEvent).where(AuditEvent.id.in_(old)).returning(AuditEvent.id)
        )
        return len(result.all())
