"""Full-text search in the index that a migration has created for a table: see docs/lists.md."""

from typing import Any, Final

from sqlalchemy import (
    BindParameter,
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

from mscr.db.search_words import MAX_WORD_LENGTH, search_words
from mscr.models.base import ModelBase

# The text of a search, or a bind parameter for its query.
Words = str | BindParameter[str]

# SQLite's weights for the columns of the index. PostgreSQL's weights A and D have the same ratio.
_WEIGHTS: Final = (10.0, 1.0)
# Longer than any indexed word, so it matches nothing. It replaces a query without any word.
_IN_NO_INDEX: Final = "x" * (MAX_WORD_LENGTH + 1)


class FullText:
    """Search in one table's index. Rows must contain every word; the last one may be a prefix.

    A list ranks the first 1,000 matches only, in the order of its query's `cursor_sort`.

    Queries are split into words before they reach the database. Words have no characters that are
    operators in either database's query language, so a query cannot inject any.
    """

    def __init__(self, model: type[ModelBase], session: AsyncSession) -> None:
        self._model = model
        self._sqlite = session.get_bind().dialect.name == "sqlite"
        self._vector: ColumnElement[Any] = literal_column(f"{model.__tablename__}.search_vector")
        self._index = table(f"{model.__tablename__}_search", column("rowid"))

    def query(self, text: str) -> str:
        """Return the query for the words of a text, as the value of a bind parameter."""
        words = search_words(text).split() or [_IN_NO_INDEX]
        if self._sqlite:
            return " ".join(f'"{word}"' for word in words) + " *"
        return " & ".join(f"'{word}'" for word in words) + ":*"

    def matches(self, text: Words) -> ColumnElement[bool]:
        if self._sqlite:
            return self._model.id.in_(select(self._index.c.rowid).where(self._found(text)))
        return self._found(text)

    def ranked(
        self, statement: Select[Any], text: Words
    ) -> tuple[Select[Any], ColumnElement[float]]:
        """Return the statement and the column of relevance to sort by: the best have the most."""
        if not self._sqlite:
            return statement, func.ts_rank(self._vector, self._tsquery(text))
        relevance = -func.bm25(literal_column(self._index.name), *_WEIGHTS)
        found = (
            select(self._index.c.rowid.label("id"), relevance.label("relevance"))
            .where(self._found(text))
            .subquery()
        )
        return statement.join(found, found.c.id == self._model.id), found.c.relevance

    def _found(self, text: Words) -> ColumnElement[bool]:
        if self._sqlite:
            return literal_column(self._index.name).bool_op("MATCH")(self._given(text))
        return self._vector.bool_op("@@")(self._tsquery(text))

    def _tsquery(self, text: Words) -> ColumnElement[Any]:
        # A cast, because to_tsquery() would split the words again by its own parser.
        return cast(cast(self._given(text), Text), TSQUERY)

    def _given(self, text: Words) -> str | BindParameter[str]:
        return self.query(text) if isinstance(text, str) else text
