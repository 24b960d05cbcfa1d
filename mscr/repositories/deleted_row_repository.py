from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import MetaData, Table, delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.base import Base


def soft_deleting_tables(metadata: MetaData = Base.metadata) -> list[Table]:
    """Every table with soft-deleted rows; what refers to others comes before them."""
    tables = reversed(metadata.sorted_tables)
    return [table for table in tables if {"id", "is_deleted", "deleted_at"} <= {*table.c.keys()}]


class DeletedRowRepository:
    """The soft-deleted rows of one table."""

    def __init__(self, table: Table, session: AsyncSession) -> None:
        self.table = table
        self.session = session

    async def commit(self) -> None:
        await self.session.commit()

    async def purge(self, *, before: datetime, after_id: int, batch: int) -> Sequence[int]:
        """Remove rows that were deleted before this time, in the order of their keys.

        The keys of at most `batch` rows, all greater than `after_id`. Rows that somebody holds,
        to restore or to purge them, are passed over.
        """
        rows = self.table.c
        old = (
            select(rows.id)
            .where(rows.id > after_id, rows.is_deleted, rows.deleted_at < before)
            .order_by(rows.id)
            .limit(batch)
            .with_for_update(skip_locked=True)
        )
        removed = delete(self.table).where(rows.id.in_(old)).returning(rows.id)
        return (await self.session.scalars(removed)).all()
