"""The unique constraints and unique indexes of a model's table."""

from typing import cast

from sqlalchemy import Index, Table, UniqueConstraint

from mscr.models.base import ModelBase


def unique_names(model: type[ModelBase]) -> dict[tuple[str, ...], str]:
    """Map the columns of each unique constraint and unique index to its name."""
    table = cast("Table", model.__table__)
    uniques: list[Index | UniqueConstraint] = [
        *(index for index in table.indexes if index.unique),
        *(each for each in table.constraints if isinstance(each, UniqueConstraint)),
    ]
    return {tuple(unique.columns.keys()): str(unique.name) for unique in uniques}
