"""Write the rows of children together with those of their parents."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapper

from mscr.models.base import ModelBase, utcnow
from mscr.models.ownership import Child, child_lists, children_of
from mscr.queries.column_bounds import require_fit


def with_children(model: type[ModelBase], values: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a row, with new objects in place of the values of its children.

    Raise `ValidationFailedError` for a value of a child that its column cannot hold.
    """
    lists = child_lists(model.__mapper__)
    given = values.keys() & lists.keys()
    return values | {name: _objects(lists[name].model, name, values[name]) for name in given}


def _objects(model: type[Any], name: str, rows: Sequence[Mapping[str, Any]]) -> Sequence[Any]:
    for number, row in enumerate(rows):
        require_fit(model, row, loc=("body", name, number))
    return [model(**row) for row in rows]


async def replace_children(
    session: AsyncSession, child: Child, parent_id: int, rows: Sequence[Any]
) -> None:
    """Soft-delete the children of a locked parent, and add others. The caller flushes."""
    now, of_parent = utcnow(), child.key == parent_id
    ids = select(child.model.id).where(of_parent)
    await soft_delete_children(session, child.model.__mapper__, ids, now)
    living = of_parent & child.model.is_deleted.is_(False)
    await _change(session, child, living, is_deleted=True, deleted_at=now)
    for row in rows:
        setattr(row, child.key.key, parent_id)
    session.add_all(rows)


async def soft_delete_children(
    session: AsyncSession, parent: Mapper[Any], ids: Any, when: datetime
) -> None:
    """Soft-delete all children of the parents with these ids: a list, or a SELECT."""
    for child, of_parents in _descendants(parent, ids):
        living = of_parents & child.model.is_deleted.is_(False)
        await _change(session, child, living, is_deleted=True, deleted_at=when)


async def restore_children(
    session: AsyncSession, parent: Mapper[Any], ids: Any, when: datetime
) -> None:
    """Restore the children that were deleted together with their parents, at this time."""
    for child, of_parents in _descendants(parent, ids):
        deleted = of_parents & (child.model.deleted_at == when)
        await _change(session, child, deleted, is_deleted=False, deleted_at=None)


def _descendants(
    parent: Mapper[Any], ids: Any, known: tuple[Mapper[Any], ...] = ()
) -> list[tuple[Child, ColumnElement[bool]]]:
    """Return each kind of descendant with the condition for those of the parents."""
    found: list[tuple[Child, ColumnElement[bool]]] = []
    for child in children_of(parent):
        # Rows may refer to their own kind, such as the nodes of a tree.
        if child.model.__mapper__ not in (*known, parent):
            of_parents = child.key.in_(ids)
            below = select(child.model.id).where(of_parents)
            found += [
                (child, of_parents),
                *_descendants(child.model.__mapper__, below, (*known, parent)),
            ]
    return found


async def _change(
    session: AsyncSession, child: Child, rows: ColumnElement[bool], **values: Any
) -> None:
    raised = {"version": child.model.version + 1} if hasattr(child.model, "version") else {}
    statement = update(child.model).where(rows).values(**values, **raised)
    # Nothing reads the objects of these rows afterwards.
    await session.execute(statement, execution_options={"synchronize_session": False})
