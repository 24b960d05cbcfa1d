"""The catalogue's database: its tables and search indexes, and the process's engine."""

from examples.catalogue.core.config import Settings, get_settings
from examples.catalogue.models.tables import TABLES
from mscr.db.search_index import SEARCH_COLUMN
from mscr.db.session import Database as KitDatabase


def search_columns(dialect: str) -> list[tuple[str, str]]:
    """List the columns that searches read and no model declares, each with its table."""
    if dialect == "sqlite":
        return [("items_search", "title"), ("items_search", "description")]
    return [("items", SEARCH_COLUMN)]


class Database(KitDatabase):
    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, TABLES, search_columns=search_columns)


database = Database(get_settings())
