"""Searching words in the index that a migration made for a table: see docs/lists.md."""

from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    cast,
    column,
    func,
    literal_column,
    select,
    table,
)
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.search_words import MAX_WORD_LENGTH, search_words
from app.models.base import Base

# What a word weighs for SQLite, in the columns of the index; PostgreSQL's letters A and D are so.
_WEIGHTS: Final = (10.0, 1.0)
# Longer than any word that is kept: what whoever looks for signs alone is given to find.
_IN_NO_INDEX: Final = "x" * (MAX_WORD_LENGTH + 1)


class FullText:
    """The index of one table: every word has to be there, the last one may be only begun.

    The texts are taken apart into words before a database sees them, and no word has a sign in it
    that means something to either query language.
    """

    def __init__(self, model: type[Base], session: AsyncSession) -> None:
        self._model = model
        self._sqlite = session.get_bind().dialect.name == "sqlite"
        self._vector: ColumnElement[Any] = literal_column(f"{model.__tablename__}.search_vector")
        self._index = table(f"{model.__tablename__}_search", column("rowid"))

    def matches(self, text: str) -> ColumnElement[bool]:
        if self._sqlite:
            return self._model.id.in_(select(self._index.c.rowid).where(self._found(text)))
        return self._found(text)

    def ranked(self, statement: Select[Any], text: str) -> tuple[Select[Any], ColumnElement[float]]:
        """The statement, and by which column of it to order: the best matches have the most."""
        if not self._sqlite:
            return statement, func.ts_rank(self._vector, _postgresql_query(text))
        relevance = -func.bm25(literal_column(self._index.name), *_WEIGHTS)
        found = (
            select(self._index.c.rowid.label("id"), relevance.label("relevance"))
            .where(self._found(text))
            .subquery()
        )
        return statement.join(found, found.c.id == self._model.id), found.c.relevance

    def _found(self, text: str) -> ColumnElement[bool]:
        if self._sqlite:
            return literal_column(self._index.name).bool_op("MATCH")(_sqlite_query(text))
        return self._vector.bool_op("@@")(_postgresql_query(text))


def _words(text: str) -> list[str]:
    return search_words(text).split() or [_IN_NO_INDEX]


def _postgresql_query(text: str) -> ColumnElement[Any]:
    words = " & ".join(f"'{word}'" for word in _words(text))
    # Not to_tsquery(), whose parser would take the words apart once more.
    return cast(cast(f"{words}:*", Text), TSQUERY)


def _sqlite_query(text: str) -> str:
    words = " ".join(f'"{word}"' for word in _words(text))
    return f"{words} *"
