"""Find the models that belong to users: those whose `owner_id` refers to an account."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from sqlalchemy.orm import Mapper, registry

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


def owned_models(models: registry) -> Iterator[type[Any]]:
    """Yield the owned models of an application: those of its base's `registry`."""
    return (mapper.class_ for mapper in models.mappers if account_of(mapper))
