"""The columns of the search indexes that the application's migrations make."""

from mscr.db.search_index import SEARCH_COLUMN


def search_columns(dialect: str) -> list[tuple[str, str]]:
    """List the columns that searches read and no model declares, each with its table."""
    if dialect == "sqlite":
        return [("items_search", "title"), ("items_search", "description")]
    return [("items", SEARCH_COLUMN)]
