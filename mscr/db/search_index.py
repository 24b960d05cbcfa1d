"""Full-text indexes: migrations create them, the database fills them, no model declares them."""

import re
from collections.abc import Collection
from typing import Any, Final

from mscr.db.search_words import search_words

# SQLite has tables (with the shadow tables of FTS5), PostgreSQL a column and an index.
_TABLE: Final = re.compile(r"(?P<searched>\w+)_search(_(config|content|data|docsize|idx))?")
SEARCH_COLUMN: Final = "search_vector"
_INDEX: Final = re.compile(rf"ix_\w+_{SEARCH_COLUMN}")


def is_search_index(name: str | None, kind: str, declared: Collection[str]) -> bool:
    """Return whether a `table`, `column` or `index` of this name belongs to a full-text index.

    `declared` has the names of the models' tables.
    """
    if name is None:
        return False
    if kind == "table":
        found = _TABLE.fullmatch(name)
        return found is not None and found["searched"] in declared and name not in declared
    return name == SEARCH_COLUMN if kind == "column" else _INDEX.fullmatch(name) is not None


def add_search_function(connection: Any) -> None:
    """Add the SQL function that the triggers call to an SQLite connection.

    Without it, rows of searched tables cannot be written.
    """
    connection.create_function("search_words", 1, search_words, deterministic=True)
