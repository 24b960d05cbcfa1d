"""Keep the triggers of a table that a migration copies on SQLite.

SQLite cannot drop or change a column everywhere, so `batch_alter_table` copies the table, drops it
with its triggers, and renames the copy. The triggers of a search index would be gone, silently.
"""

import re
from typing import Any, Final

from sqlalchemy import Connection, event

_DROPPED: Final = re.compile(r'\s*DROP TABLE "?(\w+)"?\s*')
_RENAMED: Final = re.compile(r'\s*ALTER TABLE "?_alembic_tmp_(\w+)"? RENAME TO "?\1"?\s*')
_TRIGGERS: Final = "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?"


def keep_triggers(connection: Connection) -> None:
    """Create the triggers of a table again after `batch_alter_table` has replaced it by a copy.

    A migration that changes a column that they read drops them first, and creates new ones.
    """
    dropped: dict[str, list[str]] = {}

    @event.listens_for(connection, "before_cursor_execute", named=True)
    def remember(*, conn: Connection, statement: str, **_: Any) -> None:
        if table := _DROPPED.fullmatch(statement):
            dropped[table[1]] = list(conn.exec_driver_sql(_TRIGGERS, (table[1],)).scalars())

    @event.listens_for(connection, "after_cursor_execute", named=True)
    def create_again(*, conn: Connection, statement: str, **_: Any) -> None:
        if copy := _RENAMED.fullmatch(statement):
            for trigger in dropped.pop(copy[1], []):
                conn.exec_driver_sql(trigger)
