"""Which models belong to users: those whose `owner_id` refers to one."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import inspect

from app.models.base import Base


def is_owned(model: type[Any]) -> bool:
    columns = inspect(model).columns
    # Something else may own rows: a team, a project.
    keys = columns.owner_id.foreign_keys if "owner_id" in columns else ()
    return any(key.target_fullname == "users.id" for key in keys)


def owned_models() -> Iterator[type[Any]]:
    return (mapper.class_ for mapper in Base.registry.mappers if is_owned(mapper.class_))
