from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, MetaData, Row, Select, Text, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from mscr.models.base import EncryptedText, encryption_context


@dataclass(frozen=True, slots=True)
class EncryptedValue:
    """A ciphertext, with its row and the encryption context of its column."""

    row_id: int
    public_id: str
    ciphertext: str
    context: str


def encrypted_columns(metadata: MetaData) -> list[Column[Any]]:
    """Return the columns of type `EncryptedText`, of all models.

    Raise `TypeError` for a column whose table has no `public_id`: the encryption context needs it.
    """
    columns = (column for table in metadata.sorted_tables for column in table.columns)
    encrypted = [column for column in columns if isinstance(column.type, EncryptedText)]
    for column in encrypted:
        if "public_id" not in column.table.c:
            raise TypeError(f"{column} is encrypted, and its table has no public_id")
    return encrypted


class EncryptedValueRepository:
    """The values of one encrypted column, including those of soft-deleted rows."""

    def __init__(self, column: Column[Any], session: AsyncSession) -> None:
        self._column = column
        self._table = column.table
        self.session = session

    async def commit(self) -> None:
        await self.session.commit()

    async def list_after(self, row_id: int | None, *, limit: int) -> Sequence[EncryptedValue]:
        """Return the values after a row's key, in the order of keys. None: from the first row."""
        key = self._table.c.id
        statement = self._select().order_by(key).limit(limit)
        if row_id is not None:
            statement = statement.where(key > row_id)
        return [self._value(row) for row in await self.session.execute(statement)]

    async def find(self, row_id: int) -> EncryptedValue | None:
        """Return the row's present value, or None if it is null or the row is gone."""
        statement = self._select().where(self._table.c.id == row_id)
        row = (await self.session.execute(statement)).one_or_none()
        return None if row is None else self._value(row)

    async def replace(self, value: EncryptedValue, ciphertext: str) -> bool:
        """Compare and swap. Return False if the value was changed or removed meanwhile."""
        # The plaintext stays the same, so `updated_at` and other onupdate columns must not change.
        unchanged = {c: c for c in self._table.columns if c.onupdate is not None}
        old = literal(value.ciphertext, Text())
        result = await self.session.execute(
            update(self._table)
            .where(self._table.c.id == value.row_id, self._column == old)
            .values({**unchanged, self._column: ciphertext})
            .returning(self._table.c.id)
        )
        return result.one_or_none() is not None

    def _select(self) -> Select[Any, Any, Any]:
        rows = self._table.c
        return select(rows.id, rows.public_id, self._column.label("ciphertext")).where(
            self._column.is_not(None)
        )

    def _value(self, row: Row[Any, Any, Any]) -> EncryptedValue:
        context = encryption_context(self._column, row.public_id)
        return EncryptedValue(row.id, row.public_id, row.ciphertext, context)
