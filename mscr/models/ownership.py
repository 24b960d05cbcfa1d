"""Find the accounts that own the rows of a model (`owner_id` refers to them), and its children.

A child belongs to its parent: its foreign key to it has ON DELETE CASCADE, and it has no owner
itself.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from sqlalchemy.orm import Mapper
from sqlalchemy.orm.interfaces import ONETOMANY

from mscr.models.account import AccountMixin

if TYPE_CHECKING:
    from sqlalchemy import Table


class Child(NamedTuple):
    """A model whose rows belong to those of a parent, and its key to the parent."""

    model: type[Any]
    key: Any


@cache
def account_of(mapper: Mapper[Any]) -> type[AccountMixin] | None:
    """Return the model of the accounts that own the rows of a mapped model.

    Return None if nothing owns them, or if something else does, such as a team or a project.
    """
    columns = mapper.columns
    keys = columns.owner_id.foreign_keys if "owner_id" in columns else ()
    tables = {key.column.table for key in keys}
    owners = (each.class_ for each in mapper.registry.mappers if each.local_table in tables)
    return next((owner for owner in owners if issubclass(owner, AccountMixin)), None)


@cache
def children_of(mapper: Mapper[Any]) -> Sequence[Child]:
    """Return the children of a mapped model."""
    mappers = sorted(mapper.registry.mappers, key=lambda each: each.class_.__name__)
    return [
        Child(each.class_, each.get_property_by_column(column).class_attribute)
        for each in mappers
        if account_of(each) is None and not issubclass(each.class_, AccountMixin)
        for column in cast("Table", each.local_table).columns
        for key in column.foreign_keys
        if key.column.table is mapper.local_table and key.ondelete == "CASCADE"
    ]


@cache
def child_lists(mapper: Mapper[Any]) -> Mapping[str, Child]:
    """Return the children that the model has a relationship to, by its name."""
    children = {child.model: child for child in children_of(mapper)}
    return {
        relation.key: children[relation.mapper.class_]
        for relation in mapper.relationships
        if relation.direction is ONETOMANY and relation.mapper.class_ in children
    }
