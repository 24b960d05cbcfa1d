"""Find the tables whose rows the deletion of an account deletes, or erases personal data in."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from sqlalchemy import ForeignKeyConstraint, Table

from mscr.models.personal_data import declaration_faults
from mscr.models.tables import Tables

# Foreign keys by their tables; a table comes after those that its keys refer to.
Keys = Mapping[Table, list[ForeignKeyConstraint]]
_ALLOWED: Final = {"CASCADE", "SET NULL"}


class AccountRows:
    """The tables with rows of accounts, and the foreign keys that lead to the account.

    `deleted` has the tables whose rows are deleted with their account: a chain of foreign keys with
    ON DELETE CASCADE leads to it. `kept` has those of rows that refer to an account and stay when
    it is deleted: by another foreign key, or as parts of such rows.
    """

    def __init__(self, tables: Tables) -> None:
        self.users = tables.metadata.tables[tables.user.__tablename__]
        self.deleted = self._reached(lambda key, found: _is_part(key) and self._leads(key, found))
        self.kept = self._reached(self._keeps)

    def faults(self) -> Iterator[str]:
        """Yield a line for each column that the deletion of an account would not erase."""
        for table in self.kept:
            yield from declaration_faults(table.name, dict(table.c.items()), every_column=False)
        for table in self.users.metadata.sorted_tables:
            for key in table.foreign_key_constraints:
                if self._leads(key, self.deleted) and _on_delete(key) not in _ALLOWED:
                    yield (
                        f"{table.name}.{key.column_keys[0]} can prevent the deletion of accounts: "
                        'give its ForeignKey ondelete="CASCADE" if the row is deleted with '
                        f'that of {key.referred_table.name}, or "SET NULL" if it stays'
                    )

    def _reached(self, leads: Callable[[ForeignKeyConstraint, Keys], bool]) -> Keys:
        found: dict[Table, list[ForeignKeyConstraint]] = {}
        for table in self.users.metadata.sorted_tables:
            keys = [key for key in table.foreign_key_constraints if leads(key, found)]
            if keys and table is not self.users:
                found[table] = keys
        return found

    def _leads(self, key: ForeignKeyConstraint, found: Keys) -> bool:
        return key.referred_table is self.users or key.referred_table in found

    def _keeps(self, key: ForeignKeyConstraint, found: Keys) -> bool:
        if key.table in self.deleted:
            return False
        return key.referred_table is self.users or (_is_part(key) and key.referred_table in found)


def _is_part(key: ForeignKeyConstraint) -> bool:
    return _on_delete(key) == "CASCADE"


def _on_delete(key: ForeignKeyConstraint) -> str:
    return (key.ondelete or "").upper()
