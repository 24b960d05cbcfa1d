"""Prepared statements for the rows of one owned model, as one response shows them."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import ColumnDefault, ColumnElement, Enum, Integer, String, bindparam, or_
from sqlalchemy.orm import Mapper

from mscr.core.sort_order import RELEVANCE
from mscr.models.base import ModelBase
from mscr.queries.filters import Filters
from mscr.queries.owned_insert import OwnedInsert
from mscr.queries.prepared_pages import PreparedPages
from mscr.queries.prepared_statement import PreparedStatement
from mscr.queries.shown_columns import ALWAYS_SHOWN, Computed, shown_columns, stored_columns

_VIEWER: Final = bindparam("viewer_id", type_=Integer)
# Columns whose values `OwnedInsert` or the database assigns.
_ASSIGNED: Final = frozenset(
    {"id", "public_id", "owner_id", "created_at", "updated_at", "version"}
    | {"is_deleted", "deleted_at"}
)


class OwnedQueries:
    """Reads of single rows and of pages, and inserts. Each is compiled on first use."""

    def __init__(
        self,
        model: type[ModelBase],
        fields: Sequence[str],
        computed: Computed,
        visible_to: Callable[[Any], Sequence[ColumnElement[bool]]],
        filters: Filters,
        *,
        searched: bool,
    ) -> None:
        mapped: Any = model
        self._model = model
        self._filters = filters
        self._searched = searched
        self._inserts: dict[frozenset[str], OwnedInsert] = {}
        self.columns = {each.key: each.class_attribute for each in model.__mapper__.column_attrs}
        self.shown = shown_columns(model, fields, computed)
        self._stored = stored_columns(model)
        self._returned = [n for n in dict.fromkeys((*fields, *ALWAYS_SHOWN)) if n in self._stored]
        # `OwnedInsert` itself returns the owner's public id.
        self.can_insert = not {*fields} - {*self._stored, "owner_public_id"}
        one = self.shown.where(mapped.public_id == bindparam("public_id", type_=String))
        self.one = PreparedStatement(one)
        # Visibility need not depend on the viewer, but each statement must take the viewer's id.
        taken = _VIEWER.is_not(None)
        conditions = tuple(visible_to(_VIEWER))
        self.visible_one = PreparedStatement(one.where(taken, or_(*conditions)))
        self.owned_pages = self._pages(self.shown.where(mapped.owner_id == _VIEWER), ())
        visible = self.shown if len(conditions) > 1 else self.shown.where(*conditions)
        any_of = conditions if len(conditions) > 1 else ()
        self.visible_pages = self._pages(visible.where(taken), any_of)

    def is_prepared(self, field: str) -> bool:
        """Return whether pages in the order of this field can be prepared: it is never null."""
        if field == RELEVANCE and self._searched:
            return True
        return field in self._stored and not self._stored[field].nullable

    def insert(self, names: frozenset[str]) -> OwnedInsert | None:
        """Return the statement that inserts a row, or None if not all values are columns.

        Those of children, for example, are rows of another table.
        """
        if names not in self._inserts:
            if names - self._stored.keys():
                return None
            columns = [self.columns[name] for name in sorted(names)]
            returning = [self._stored[name].label(name) for name in self._returned]
            self._inserts[names] = OwnedInsert(self._model, columns, returning)
        return self._inserts[names]

    def _pages(self, statement: Any, any_of: Sequence[ColumnElement[bool]]) -> PreparedPages:
        choices = {
            name: column
            for name, column in self.columns.items()
            # A filter of the repository's own may mean something else.
            if isinstance(column.type, Enum) and name not in self._filters
        }
        return PreparedPages(
            self._model,
            statement,
            self.columns,
            any_of=any_of,
            choices=choices,
            searched=self._searched,
        )


def values_with_defaults(model: type[ModelBase], values: dict[str, Any]) -> dict[str, Any]:
    """Add the defaults of the model to the values of a new row, except SQL expressions."""
    defaults = _defaults(model.__mapper__).items()
    missing = {name: value for name, value in defaults if name not in values}
    called = {name: value(None) if callable(value) else value for name, value in missing.items()}
    return values | called


@cache
def _defaults(mapper: Mapper[Any]) -> Mapping[str, Any]:
    """Return the default of each column, a value or a function, except SQL expressions."""
    columns = stored_columns(mapper.class_).items()
    defaults = {name: column.default for name, column in columns}
    return {
        name: default.arg
        for name, default in defaults.items()
        if isinstance(default, ColumnDefault)
        and name not in _ASSIGNED
        and not default.is_clause_element
    }
