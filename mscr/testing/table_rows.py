"""What the database holds: to compare before and after, and to change behind the API's back."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select, update

from app.db.session import Database
from app.models import AuditEvent, Base, Item, User

Rows = dict[str, list[Sequence[Any]]]


async def all_rows(database: Database) -> Rows:
    """Every row of every table, in the order of their keys."""
    async with database.read_sessions() as session:
        return {
            table.name: [
                tuple(row)
                for row in await session.execute(select(table).order_by(*table.primary_key))
            ]
            for table in Base.metadata.sorted_tables
        }


async def rows_but_the_audit_log(database: Database) -> Rows:
    """What may not change where nothing may be done; that somebody tried is told."""
    rows = await all_rows(database)
    del rows[AuditEvent.__tablename__]
    return rows


async def set_columns(
    database: Database, model: type[User | Item], public_id: str, **values: Any
) -> None:
    """Write to one row what no route would write."""
    async with database.sessions.begin() as session:
        await session.execute(update(model).where(model.public_id == public_id).values(**values))
