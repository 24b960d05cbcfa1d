from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import MetaData, Table, delete, select
from sqlalchemy.ext.asyncio import AsyncSession


def soft_deleting_tables(metadata: MetaData) -> list[Table]:
    """Return the tables with soft delete, referring tables before the ones they refer to."""
    tables = reversed(metadata.sorted_tables)
    return [table for table in tables if {"id", "is_deleted", "deleted_at"} <= {*table.c.keys()}]


class DeletedRowRepository:
    """Purge the soft-deleted rows (tombstones) of one table."""

    def __init__(self, table: Table, session: AsyncSession) -> None:
        self.table = table
        self.session = session

    async def commit(self) -> None:
        await self.session.commit()

    async def purge(self, *, before: datetime, after_id: int, batch: int) -> Sequence[int]:
        """Hard-delete rows that were soft-deleted before this time; return their keys.

        At most `batch` rows with keys greater than `after_id`, in the order of the keys. Skip rows
        that another transaction has locked, to restore or to purge them.
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
