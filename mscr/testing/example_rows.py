"""Rows with recognizable texts, inserted into every table that has rows of accounts."""

import secrets
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    JSON,
    Column,
    Enum,
    LargeBinary,
    Table,
    TableClause,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from mscr.connections.error_attributes import first_line
from mscr.db.session import Database
from mscr.models.account_rows import AccountRows
from mscr.models.base import EncryptedText
from mscr.models.personal_data import holds_text, is_personal
from mscr.testing.api import Account, Api

Row = dict[str, Any]
# A shorter text could be found in another one by chance.
SHORTEST: Final = 6
# The columns that a registration has filled in.
REGISTERED: Final = {"email", "email_key", "password_hash"}
_VALUES: Final[dict[type, Any]] = {
    bool: True,
    int: 1,
    float: 1.0,
    Decimal: Decimal(1),
    date: date(2026, 1, 31),
    datetime: datetime(2026, 1, 31, 12, tzinfo=UTC),
    time: time(12),
    timedelta: timedelta(hours=1),
    UUID: UUID("01890a5d-ac96-774b-bcce-b302099a8057"),
    list: [],
}


class ExampleRows:
    """The rows of one account: a text in each column that can hold one, in each of its tables."""

    def __init__(self, api: Api, database: Database, account: Account) -> None:
        self._api = api
        self._database = database
        self._email = account.email
        self._found = database.tables.prepared(AccountRows)
        # A row that is being inserted is empty: tables may refer to each other.
        self._rows: dict[Table, Row] = {}
        self._texts = {account.email}

    async def insert(self) -> None:
        """Fill in the personal columns of the account, and insert a row into each of its tables."""
        async with self._database.sessions.begin() as session:
            await self._fill_in_account(session)
            for table in (*self._found.deleted, *self._found.kept):
                await self._row(session, table)

    async def left(self) -> list[str]:
        """Return a line for everything of these rows that is in the database."""
        found = self._found
        async with self._database.read_sessions() as session:
            after = {table: await self._read(session, table) for table in self._rows}
            return [
                *(
                    f"{table.name} has a row of the account"
                    for table in found.deleted
                    if after[table]
                ),
                *(
                    f"{table.name}.{column.key} has its value"
                    for table in (found.users, *found.kept)
                    for column in table.c
                    if is_personal(column)
                    and self._rows[table][column.key] is not None
                    and after[table][column.key] == self._rows[table][column.key]
                ),
                *(await self._texts_left(session)),
            ]

    async def _fill_in_account(self, session: AsyncSession) -> None:
        users = self._found.users
        own = [column for column in users.c if is_personal(column) and column.key not in REGISTERED]
        account = users.c.email == self._email
        if values := self._api.example_row(users.name, {c.key: self._value(c) for c in own}):
            await session.execute(update(users).where(account).values(values))
        row = (await session.execute(select(users).where(account))).mappings().one()
        self._rows[users] = dict(row)

    async def _row(self, session: AsyncSession, table: Table) -> Row:
        if table in self._rows:
            return self._rows[table]
        self._rows[table] = {}
        values = {column.key: self._value(column) for column in table.c if _is_filled_in(column)}
        for key in table.foreign_key_constraints:
            if parent := await self._row(session, key.referred_table):
                values |= {each.parent.key: parent[each.column.key] for each in key.elements}
        statement = insert(table).values(self._api.example_row(table.name, values))
        try:
            row = (await session.execute(statement.returning(*table.c))).mappings().one()
        except DBAPIError as error:
            raise AssertionError(
                f"{table.name} refuses an example row ({first_line(error.orig)}): return another "
                "one in `example_row` of your `Api` (docs/testing.md)"
            ) from error
        self._rows[table] = dict(row)
        return self._rows[table]

    async def _read(self, session: AsyncSession, table: Table) -> Row:
        row = self._rows[table]
        same = [column == row[column.key] for column in table.primary_key]
        found = (await session.execute(select(table).where(*same))).mappings().first()
        return dict(found or {})

    async def _texts_left(self, session: AsyncSession) -> list[str]:
        lines = []
        for name in await session.run_sync(_table_names):
            rows = (
                await session.execute(select(text("*")).select_from(TableClause(name)))
            ).mappings()
            lines += [
                f"{name}.{column} has a text of the account"
                for row in rows
                for column, value in row.items()
                if any(each in str(value) for each in self._texts)
            ]
        return lines

    def _value(self, column: Column[Any]) -> Any:
        kind = getattr(column.type, "impl_instance", column.type)
        if isinstance(kind, Enum):
            return kind.python_type(kind.enums[0]) if kind.enum_class else kind.enums[0]
        if not holds_text(column):
            return _VALUES[kind.python_type]
        made = secrets.token_hex(20)[: getattr(kind, "length", None)]
        is_erased = column.table in self._found.deleted or is_personal(column)
        if is_erased and len(made) >= SHORTEST:
            self._texts.add(made)
        if isinstance(kind, JSON):
            return {"text": made}
        if isinstance(kind, LargeBinary):
            return made.encode()
        return f"gAAAA{made}" if isinstance(column.type, EncryptedText) else made


def _table_names(session: Session) -> list[str]:
    connection = session.connection()
    if connection.dialect.name == "sqlite":
        # Without the index of a full-text search, whose pages keep words until it merges them.
        listed = "SELECT name FROM pragma_table_list WHERE type = 'table' AND schema = 'main'"
        return list(connection.scalars(text(listed)))
    return inspect(connection).get_table_names()


def _is_filled_in(column: Column[Any]) -> bool:
    """Return whether an INSERT needs a value, or the column can hold a text."""
    is_made = column.primary_key or column.computed is not None
    has_default = column.default is not None or column.server_default is not None
    if is_made or has_default or column.foreign_keys:
        return False
    return holds_text(column) or is_personal(column) or not column.nullable
