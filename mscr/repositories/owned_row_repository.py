from typing import Any

from sqlalchemy import ColumnElement, Table, delete, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from mscr.models.account_rows import AccountRows, Keys
from mscr.models.personal_data import erased_values
from mscr.models.tables import Tables


class OwnedRowRepository:
    """The rows of all tables that belong to an account, or refer to it.

    The foreign keys decide, so a new table needs no change here.
    """

    def __init__(self, session: AsyncSession, tables: Tables) -> None:
        self.session = session
        self._found = tables.prepared(AccountRows)

    async def delete(self, user_id: int) -> None:
        """Delete the rows that belong to the account, and erase its personal data in others.

        One statement a table. The rows are deleted for good, soft-deleted ones too: nobody is left
        to restore them.
        """
        found = self._found
        for table in found.kept:
            if values := erased_values(dict(table.c.items()), table.c):
                if "version" in table.c:
                    values["version"] = table.c.version + 1
                rows = self._rows(table, found.kept, user_id)
                await self.session.execute(update(table).where(rows).values(values))
        for table in reversed([*found.deleted]):
            rows = self._rows(table, found.deleted, user_id)
            await self.session.execute(delete(table).where(rows))

    def _rows(self, table: Table, keys: Keys, user_id: int) -> ColumnElement[bool]:
        """Return the condition of the rows that refer to the account, directly or by others."""
        if table is self._found.users:
            return table.c.id == user_id
        conditions = []
        for key in keys[table]:
            # Not EXISTS: databases read IN from the index of the foreign key.
            columns: Any = tuple_(*key.columns) if len(key.columns) > 1 else key.columns[0]
            referred = select(*(element.column for element in key.elements))
            owner = self._rows(key.referred_table, keys, user_id)
            conditions.append(columns.in_(referred.where(owner)))
        return or_(*conditions)
