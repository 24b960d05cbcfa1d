"""The unique constraints and unique indexes of a model's table."""

from collections.abc import Iterable, Sequence
from typing import Any, cast

from sqlalchemy import Index, Table, UniqueConstraint

from mscr.models.base import ModelBase

Unique = Index | UniqueConstraint


def unique_names(model: type[ModelBase]) -> dict[tuple[str, ...], str]:
    """Map the columns of each unique constraint and unique index to its name."""
    return {tuple(unique.columns.keys()): str(unique.name) for unique in _uniques(model)}


def unique_of(model: type[ModelBase], attributes: Iterable[str]) -> Unique:
    """Return the unique constraint or index of these attributes, in any order.

    Raise `TypeError` if there is none.
    """
    columns = {model.__mapper__.columns[name].name for name in attributes}
    for unique in _uniques(model):
        if columns == {*unique.columns.keys()}:
            return unique
    raise TypeError(f"{model.__name__} has no unique constraint or index of {sorted(columns)}")


def condition_of(unique: Unique, dialect: str) -> Any:
    """Return the condition of the rows that a unique index covers, or None if it covers all."""
    return unique.dialect_options[dialect]["where"] if isinstance(unique, Index) else None


def _uniques(model: type[ModelBase]) -> Sequence[Unique]:
    table = cast("Table", model.__table__)
    return (
        *(index for index in table.indexes if index.unique),
        *(each for each in table.constraints if isinstance(each, UniqueConstraint)),
    )
