"""Indexes of words: made by migrations, unknown to the models, and fed by the database itself."""

import re
from typing import Any, Final

from app.core.search_words import search_words
from app.models.base import Base

# The tables are SQLite's (with those in which FTS5 keeps its data), the rest is PostgreSQL's.
_TABLE: Final = re.compile(r"(?P<searched>\w+)_search(_(config|content|data|docsize|idx))?")
_COLUMN: Final = "search_vector"
_INDEX: Final = re.compile(rf"ix_\w+_{_COLUMN}")


def is_search_index(name: str | None, kind: str) -> bool:
    """Whether a `table`, `column` or `index` of this name is none that a model declares."""
    if name is None:
        return False
    if kind == "table":
        found, declared = _TABLE.fullmatch(name), Base.metadata.tables
        return found is not None and found["searched"] in declared and name not in declared
    return name == _COLUMN if kind == "column" else _INDEX.fullmatch(name) is not None


def search_columns(dialect: str) -> list[tuple[str, str]]:
    """List the columns that searches read and no model declares, each with its table."""
    if dialect == "sqlite":
        return [("items_search", "title"), ("items_search", "description")]
    return [("items", _COLUMN)]


def add_search_function(connection: Any) -> None:
    """Give a connection to SQLite what its triggers call. Without it, nobody can write items."""
    connection.create_function("search_words", 1, search_words, deterministic=True)
