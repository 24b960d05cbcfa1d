"""Insert rows that may exist already (upsert)."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from mscr.models.base import ModelBase
from mscr.models.indexes import LIVING_ON_POSTGRESQL, LIVING_ON_SQLITE

ModelType = TypeVar("ModelType", bound=ModelBase)


async def insert_or_get(
    session: AsyncSession,
    model: type[ModelType],
    rows: Sequence[Mapping[str, Any]],
    unique: Sequence[InstrumentedAttribute[Any]],
) -> Sequence[ModelType]:
    """Insert rows. For a duplicate of a living row, return that row instead.

    `unique` are the columns of a unique index on living rows.

    Warning: pass the rows sorted by these columns. Each transaction then locks rows in the same
    order, so that two concurrent upserts of the same rows cannot deadlock.
    """
    on_sqlite = session.get_bind().dialect.name == "sqlite"
    insert = (sqlite.insert if on_sqlite else postgresql.insert)(model).values(rows)
    key = unique[-1].key
    # The update changes nothing. Unlike DO NOTHING, it waits for the commit of a concurrent insert,
    # and RETURNING has that row.
    upsert = insert.on_conflict_do_update(
        index_elements=unique,
        index_where=text(LIVING_ON_SQLITE if on_sqlite else LIVING_ON_POSTGRESQL),
        set_={key: insert.excluded[key]},
    )
    return (await session.scalars(upsert.returning(model))).all()
