"""The columns of the search indexes that the application's migrations make."""

from collections.abc import Mapping
from typing import Final

from mscr.db.search_index import SEARCH_COLUMN

# The columns that searches of each table find words in.
SEARCHED: Final[Mapping[str, tuple[str, ...]]] = {
    "items": ("title", "description"),
}


def search_columns(dialect: str) -> list[tuple[str, str]]:
    """List the columns that searches read and no model declares, each with its table."""
    if dialect == "sqlite":
        return [(f"{table}_search", name) for table, names in SEARCHED.items() for name in names]
    return [(table, SEARCH_COLUMN) for table in SEARCHED]
