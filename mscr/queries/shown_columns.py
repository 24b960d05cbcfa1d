"""Derive the columns that a response shows from its fields and the model."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from sqlalchemy import Column, ColumnElement, Select, inspect, select

from mscr.models.base import ModelBase
from mscr.models.ownership import account_of, child_lists
from mscr.queries.shown_rows import nested_rows

Computed = Mapping[str, ColumnElement[Any]]

# Columns of children that no response shows.
_HIDDEN: Final = ("id", "is_deleted", "deleted_at")
# For locations, cursors and entity tags.
ALWAYS_SHOWN: Final = ("public_id", "version")


def is_loaded(row: ModelBase, fields: Sequence[str]) -> bool:
    """Return whether each field is a column that the object has loaded.

    An UPDATE leaves columns unloaded that the database computes.
    """
    unloaded = inspect(row).unloaded
    columns = type(row).__mapper__.column_attrs
    return all(name in columns and name not in unloaded for name in fields)


def stored_columns(model: type[ModelBase]) -> dict[str, Column[Any]]:
    """Return the columns of the model's table by the names of their attributes."""
    columns = {each.key: each.columns[0] for each in model.__mapper__.column_attrs}
    # A `column_property` is an expression.
    return {name: column for name, column in columns.items() if isinstance(column, Column)}


def shown_columns(
    model: type[ModelBase], fields: Sequence[str], computed: Computed
) -> Select[*tuple[Any, ...]]:
    """Return a SELECT of the living rows, with one column for each field.

    A field is a column of the model, a relationship to children, an expression of `computed`, or
    `owner_public_id`. The columns of `ALWAYS_SHOWN` are selected too. Raise `TypeError` for a field
    that is none of these.
    """
    columns = {name: _column(model, name, computed) for name in (*fields, *ALWAYS_SHOWN)}
    if unknown := [name for name, column in columns.items() if column is None]:
        raise TypeError(
            f"{', '.join(unknown)}: no column of {model.__name__} and no computed column, but a "
            "response shows it; add it to `computed` of the repository"
        )
    labelled = [cast("ColumnElement[Any]", column).label(name) for name, column in columns.items()]
    return select(*labelled).where(model.is_deleted.is_(False))


def _column(model: type[ModelBase], name: str, computed: Computed) -> Any:
    if name in computed:
        return computed[name]
    if name in model.__mapper__.column_attrs:
        return model.__mapper__.attrs[name].class_attribute
    if name in child_lists(model.__mapper__):
        return nested_rows(name, _children(model, name))
    if name == "owner_public_id" and (account := account_of(model.__mapper__)):
        owner_id = model.__mapper__.attrs["owner_id"].class_attribute
        return select(account.public_id).where(account.id == owner_id).scalar_subquery()
    return None


def _children(model: type[ModelBase], name: str) -> Select[*tuple[Any, ...]]:
    """Select the living children of a row, without keys and what the model defers."""
    relation = model.__mapper__.relationships[name]
    child: Any = relation.mapper.class_
    columns = [
        each.class_attribute
        for each in relation.mapper.column_attrs
        if not each.deferred and each.key not in _HIDDEN and not each.columns[0].foreign_keys
    ]
    order = relation.order_by or (child.id,)
    living = select(*columns).where(relation.primaryjoin, child.is_deleted.is_(False))
    return living.order_by(*order).correlate(model)
