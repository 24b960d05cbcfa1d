"""Indexes of words: made by migrations, unknown to the models, and fed by the database itself."""

import re
from typing import Any, Final

from app.core.search_words import search_words

# The tables are SQLite's (with those in which FTS5 keeps its data), the rest is PostgreSQL's.
_INDEX_NAMES: Final = re.compile(
    r"\w+_search(_(config|content|data|docsize|idx))?|search_vector|ix_\w+_search_vector"
)


def is_search_index(name: str | None) -> bool:
    """Whether a table, column or index of this name is none that a model declares."""
    return name is not None and _INDEX_NAMES.fullmatch(name) is not None


def add_search_function(connection: Any) -> None:
    """Give a connection to SQLite what its triggers call. Without it, nobody can write items."""
    connection.create_function("search_words", 1, search_words, deterministic=True)
