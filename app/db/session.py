"""The application's database: its tables, the process's engine, and the sessions of requests."""

from app.core.config import Settings, get_settings
from app.db.search_index import search_columns
from app.models.tables import TABLES
from mscr.db.session import Database as KitDatabase
from mscr.endpoints.database import get_db, get_read_db


class Database(KitDatabase):
    """The engines and session factories of one configuration, with this application's tables."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, TABLES, search_columns=search_columns)


# The process's own database, for the application, commands and scripts.
settings = get_settings()
database = Database(settings)
engine = database.engine
AsyncSessionLocal = database.sessions
