"""The database: its tables, and the process's engine."""

from examples.realworld.core.config import Settings, get_settings
from examples.realworld.models.tables import TABLES
from mscr.db.session import Database as KitDatabase


class Database(KitDatabase):
    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, TABLES, search_columns=lambda _: ())


database = Database(get_settings())
