"""Rows of the database: read them to compare before and after, or change them without the API."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select, update

from mscr.db.session import Database
from mscr.models.base import PublicIdMixin

Rows = dict[str, list[Sequence[Any]]]


async def all_rows(database: Database) -> Rows:
    """Return every row of every table, in the order of their keys."""
    async with database.read_sessions() as session:
        return {
            table.name: [
                tuple(row)
                for row in await session.execute(select(table).order_by(*table.primary_key))
            ]
            for table in database.tables.metadata.sorted_tables
        }


async def rows_but_the_audit_log(database: Database) -> Rows:
    """Return the rows that a refused request must not change: it may add an audit event only."""
    rows = await all_rows(database)
    del rows[database.tables.audit_event.__tablename__]
    return rows


async def set_columns(
    database: Database, model: type[PublicIdMixin], public_id: str, **values: Any
) -> None:
    """Update one row with values that no route would write."""
    async with database.sessions.begin() as session:
        await session.execute(update(model).where(model.public_id == public_id).values(**values))
