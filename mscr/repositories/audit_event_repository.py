from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from mscr.models.audit_event import AuditEventMixin
from mscr.models.tables import Tables
from mscr.queries.filters import Filters, at_least, equals, equals_id, less_than
from mscr.queries.pagination import PageRequest, Slice
from mscr.repositories.base import BaseRepository, SortColumns
from mscr.repositories.connection import ConnectionMixin


class AuditLists:
    """The sort columns and filters of the audit log's list."""

    def __init__(self, tables: Tables) -> None:
        event = tables.audit_event

        def of_session(session: UUID) -> ColumnElement[bool]:
            """Match events that happened in the session, and the event that ended it."""
            in_it = event.session_public_id == str(session)
            return or_(in_it, event.ended_session_public_id == str(session))

        self.sortable: SortColumns = {"occurred_at": event.occurred_at}
        self.filters: Filters = {
            "action": equals(event.action),
            "outcome": equals(event.outcome),
            "actor": equals_id(event.actor_public_id),
            "account": equals_id(event.account_public_id),
            "session": of_session,
            "since": at_least(event.occurred_at),
            "until": less_than(event.occurred_at),
        }


class AuditEventRepository(ConnectionMixin, BaseRepository[AuditEventMixin]):
    def __init__(self, session: AsyncSession, tables: Tables) -> None:
        super().__init__(tables.audit_event, session)
        self._tables = tables

    async def list_page(self, request: PageRequest) -> Slice[AuditEventMixin]:
        lists = self._tables.prepared(AuditLists)
        return await self._paginate(self._select(), request, lists.sortable, lists.filters)

    async def delete_older(self, *, before: datetime, batch: int) -> int:
        """Remove events that happened before the given time, at most `batch` of them."""
        old = select(self.model.id).where(self.model.occurred_at < before).limit(batch)
        result = await self.session.execute(
            delete(self.model).where(self.model.id.in_(old)).returning(self.model.id)
        )
        return len(result.all())
