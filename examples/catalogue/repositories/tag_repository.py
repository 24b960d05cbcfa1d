from collections.abc import Sequence
from typing import ClassVar
from uuid import UUID

from sqlalchemy import ScalarSelect, Select, func, select
from sqlalchemy.orm import with_expression

from examples.catalogue.core.exceptions import TagNameTakenError
from examples.catalogue.models.item import Item
from examples.catalogue.models.tag import NAME_UNIQUE_INDEX, Tag, item_tags, tag_key
from mscr.queries.integrity import UniqueErrors
from mscr.queries.pagination import PageRequest, Slice
from mscr.queries.paging import SortColumns
from mscr.queries.upsert import insert_or_get
from mscr.repositories.owned_repository import OwnedRepository

SORTABLE: SortColumns = {"name": Tag.name_key, "created_at": Tag.created_at}


class TagRepository(OwnedRepository[Tag]):
    model = Tag
    unique_errors: ClassVar[UniqueErrors] = {NAME_UNIQUE_INDEX: TagNameTakenError}

    async def find_owned(self, public_id: UUID, owner_id: int) -> Tag | None:
        return (await self.session.scalars(self._owned(public_id, owner_id))).one_or_none()

    async def lock_owned(self, public_id: UUID, owner_id: int) -> Tag | None:
        """Find a tag and lock it until the transaction ends. Others may still link items to it."""
        # FOR UPDATE would also block inserts of links (a foreign key takes FOR KEY SHARE). A rename
        # to a name that a concurrent request is inserting, for an item that also gets this tag,
        # would then deadlock.
        statement = self._owned(public_id, owner_id).with_for_update(key_share=True)
        statement = statement.execution_options(populate_existing=True)
        return (await self.session.scalars(statement)).one_or_none()

    async def create_for_owner(self, owner_id: int, name: str) -> Tag:
        """Raises `TagNameTakenError`, also when another request takes the name meanwhile."""
        key = tag_key(name)
        async with self.unless_taken(owner_id=owner_id, name_key=key):
            return await self.create(owner_id=owner_id, name=name, name_key=key)

    async def rename(self, tag: Tag, name: str) -> None:
        """Raises `TagNameTakenError`. A change of case only is allowed."""
        key = tag_key(name)
        async with self.unless_taken(owner_id=tag.owner_id, name_key=key, other_than=tag):
            await self.update(tag, name=name, name_key=key)

    async def obtain(self, owner_id: int, names: Sequence[str]) -> Sequence[Tag]:
        """Return the owner's tags of these names, and insert missing ones.

        Concurrent calls insert no duplicate.
        """
        if not names:
            return []
        # Deduplicate names that differ in case only: keep the first spelling.
        wanted = {tag_key(name): name for name in reversed(names)}
        named = self._select().where(Tag.owner_id == owner_id, Tag.name_key.in_(wanted))
        found = list(await self.session.scalars(named))
        # Insert in a fixed order, so that two concurrent upserts cannot deadlock.
        missing = sorted(wanted.keys() - {tag.name_key for tag in found})
        if missing:
            rows = [{"owner_id": owner_id, "name": wanted[k], "name_key": k} for k in missing]
            found += await insert_or_get(self.session, Tag, rows, [Tag.owner_id, Tag.name_key])
        return sorted(found, key=lambda tag: tag.name_key)

    async def list_owned(self, request: PageRequest, owner_id: int) -> Slice[Tag]:
        """List an owner's tags, each with the number of its items."""
        counted = with_expression(Tag.item_count, _living_items())
        statement = self._select().where(Tag.owner_id == owner_id).options(counted)
        return await self._paginate(statement, request, SORTABLE)

    def _owned(self, public_id: UUID, owner_id: int) -> Select[Tag]:
        return self._select().filter_by(public_id=str(public_id), owner_id=owner_id)


def _living_items() -> ScalarSelect[int]:
    # Count for the rows of the page only, in the same statement.
    return (
        select(func.count())
        .select_from(item_tags)
        .join(Item, Item.id == item_tags.c.item_id)
        .where(item_tags.c.tag_id == Tag.id, Item.is_deleted.is_(False))
        .correlate(Tag)
        .scalar_subquery()
    )
