from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

from sqlalchemy import ScalarSelect, Select, func, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import with_expression

from app.core.exceptions import TagNameTakenError
from app.core.pagination import PageRequest, Slice
from app.models.item import Item
from app.models.tag import NAME_UNIQUE_INDEX, Tag, item_tags, tag_key
from app.repositories.base import BaseRepository, SortColumns
from app.repositories.integrity import violates_unique

SORTABLE: SortColumns = {"name": Tag.name_key, "created_at": Tag.created_at}


class TagRepository(BaseRepository[Tag]):
    def __init__(self, session: AsyncSession) -> None:
        super().__init__(Tag, session)

    async def find_owned(self, public_id: UUID, owner_id: int) -> Tag | None:
        return (await self.session.scalars(self._owned(public_id, owner_id))).one_or_none()

    async def lock_owned(self, public_id: UUID, owner_id: int) -> Tag | None:
        """Like `find_owned`, locked until the end of the transaction; items may be linked to it."""
        # A full lock would keep links out as well: whoever renames it to a name that is just being
        # made for an item, which gets this tag too, would wait for one who waits for them.
        statement = self._owned(public_id, owner_id).with_for_update(key_share=True)
        statement = statement.execution_options(populate_existing=True)
        return (await self.session.scalars(statement)).one_or_none()

    async def create_for_owner(self, owner_id: int, name: str) -> Tag:
        """Raises `TagNameTakenError`, also when another request takes the name meanwhile."""
        async with self._unless_taken(owner_id, name):
            return await self.create(owner_id=owner_id, name=name, name_key=tag_key(name))

    async def rename(self, tag: Tag, name: str) -> None:
        """Raises `TagNameTakenError`. The same name in other capitals is the tag's own."""
        async with self._unless_taken(tag.owner_id, name, by_other_than=tag):
            await self.update(tag, name=name, name_key=tag_key(name))

    async def obtain(self, owner_id: int, names: Sequence[str]) -> Sequence[Tag]:
        """The owner's tags of these names; what is missing is made, once by any number at once."""
        if not names:
            return []
        # Of one in several spellings, the first is kept.
        wanted = {tag_key(name): name for name in reversed(names)}
        named = self._select().where(Tag.owner_id == owner_id, Tag.name_key.in_(wanted))
        found = list(await self.session.scalars(named))
        # In one order, so that of two that make the same ones neither waits for the other in turn.
        missing = sorted(wanted.keys() - {tag.name_key for tag in found})
        if missing:
            found += await self._upsert(owner_id, {key: wanted[key] for key in missing})
        return sorted(found, key=lambda tag: tag.name_key)

    async def list_owned(self, request: PageRequest, owner_id: int) -> Slice[Tag]:
        """With how many items they have."""
        counted = with_expression(Tag.item_count, _living_items())
        statement = self._select().where(Tag.owner_id == owner_id).options(counted)
        return await self._paginate(statement, request, SORTABLE)

    def _owned(self, public_id: UUID, owner_id: int) -> Select[Tag]:
        return self._select().filter_by(public_id=str(public_id), owner_id=owner_id)

    async def _upsert(self, owner_id: int, names: dict[str, str]) -> Sequence[Tag]:
        sqlite_here = self.session.get_bind().dialect.name == "sqlite"
        rows = [{"owner_id": owner_id, "name": names[key], "name_key": key} for key in names]
        insert = (sqlite.insert if sqlite_here else postgresql.insert)(Tag).values(rows)
        # It changes nothing, and unlike DO NOTHING it waits for the other one, and has its row.
        upsert = insert.on_conflict_do_update(
            index_elements=[Tag.owner_id, Tag.name_key],
            index_where=text("is_deleted IS 0" if sqlite_here else "is_deleted IS false"),
            set_={"name_key": insert.excluded.name_key},
        )
        return (await self.session.scalars(upsert.returning(Tag))).all()

    @asynccontextmanager
    async def _unless_taken(
        self, owner_id: int, name: str, *, by_other_than: Tag | None = None
    ) -> AsyncIterator[None]:
        named = self._select().filter_by(owner_id=owner_id, name_key=tag_key(name))
        if (await self.session.scalars(named)).one_or_none() not in {None, by_other_than}:
            raise TagNameTakenError
        try:
            async with self.savepoint():
                yield
        except IntegrityError as error:
            if violates_unique(error, Tag, NAME_UNIQUE_INDEX):
                raise TagNameTakenError from None
            raise


def _living_items() -> ScalarSelect[int]:
    # For the rows that are shown, as part of the same statement.
    return (
        select(func.count())
        .select_from(item_tags)
        .join(Item, Item.id == item_tags.c.item_id)
        .where(item_tags.c.tag_id == Tag.id, Item.is_deleted.is_(False))
        .correlate(Tag)
        .scalar_subquery()
    )
