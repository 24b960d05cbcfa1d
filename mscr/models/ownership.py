"""Find the accounts that own the rows of a model: `owner_id` refers to them."""

from functools import cache
from typing import Any

from sqlalchemy.orm import Mapper

from mscr.models.account import AccountMixin


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
