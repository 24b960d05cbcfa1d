from uuid import UUID

from sqlalchemy import Select, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload, load_only
from sqlalchemy.orm.attributes import set_committed_value

from app.core.pagination import PageRequest, Slice
from app.models.base import utcnow
from app.models.item import Item, ItemStatus
from app.models.user import User
from app.repositories.base import BaseRepository, SortColumns

SORTABLE: SortColumns = {
    "created_at": Item.created_at,
    "updated_at": Item.updated_at,
    "title": Item.title,
}
# Never null in the rows that are sorted by it.
SORTABLE_DELETED: SortColumns = {"deleted_at": Item.deleted_at, "title": Item.title}

_SHOWN_OF_OWNER = load_only(User.public_id, User.is_deleted)


class ItemRepository(BaseRepository[Item]):
    def __init__(self, session: AsyncSession) -> None:
        super().__init__(Item, session)

    async def create_for_owner(self, owner_id: int, **values: object) -> Item:
        item = await self.create(owner_id=owner_id, **values)
        owner = select(User).where(User.id == owner_id).options(_SHOWN_OF_OWNER)
        set_committed_value(item, "owner", (await self.session.scalars(owner)).one())
        return item

    async def find_visible(self, public_id: UUID, viewer_id: int) -> Item | None:
        """A published item, or one of the viewer's own."""
        statement = self._visible_to(viewer_id).where(Item.public_id == str(public_id))
        return (await self.session.scalars(statement)).one_or_none()

    async def find(self, public_id: UUID) -> Item | None:
        """Anybody's item, with its owner."""
        statement = self._with_owner().where(Item.public_id == str(public_id))
        return (await self.session.scalars(statement)).one_or_none()

    async def find_for_update(
        self, public_id: UUID, *, include_deleted: bool = False
    ) -> Item | None:
        """Like `find`, with the item's row locked until the end of the transaction."""
        statement = self._with_owner(include_deleted=include_deleted)
        statement = statement.where(Item.public_id == str(public_id)).with_for_update(of=Item)
        statement = statement.execution_options(populate_existing=True)
        return (await self.session.scalars(statement)).one_or_none()

    async def list_visible(
        self, request: PageRequest, viewer_id: int, *, status: ItemStatus | None
    ) -> Slice[Item]:
        return await self._list(self._visible_to(viewer_id), request, status)

    async def list_owned(
        self, request: PageRequest, owner_id: int, *, status: ItemStatus | None
    ) -> Slice[Item]:
        statement = self._with_owner().where(Item.owner_id == owner_id)
        return await self._list(statement, request, status)

    async def list_deleted(self, request: PageRequest, *, owner_id: int | None) -> Slice[Item]:
        """Deleted items of living owners: of this one, or of all."""
        statement = self._with_owner(include_deleted=True).where(
            Item.is_deleted, Item.owner.has(User.is_deleted.is_(False))
        )
        if owner_id is not None:
            statement = statement.where(Item.owner_id == owner_id)
        return await self._paginate(statement, request, SORTABLE_DELETED)

    async def search_visible(
        self, request: PageRequest, viewer_id: int, *, words: str, status: ItemStatus | None
    ) -> Slice[Item]:
        """Items with `words` in their title or description, whatever the case."""
        matches = or_(
            Item.title.icontains(words, autoescape=True),
            Item.description.icontains(words, autoescape=True),
        )
        return await self._list(self._visible_to(viewer_id).where(matches), request, status)

    async def soft_delete_owned(self, owner_id: int) -> None:
        """All of an owner's items at once."""
        await self.session.execute(
            update(Item)
            .where(Item.owner_id == owner_id, Item.is_deleted.is_(False))
            .values(is_deleted=True, deleted_at=utcnow(), version=Item.version + 1)
        )

    def _with_owner(self, *, include_deleted: bool = False) -> Select[Item]:
        owner = joinedload(Item.owner, innerjoin=True).options(_SHOWN_OF_OWNER)
        return self._select(include_deleted=include_deleted).options(owner)

    def _visible_to(self, viewer_id: int) -> Select[Item]:
        published = Item.status == ItemStatus.ACTIVE
        return self._with_owner().where(or_(published, Item.owner_id == viewer_id))

    async def _list(
        self, statement: Select[Item], request: PageRequest, status: ItemStatus | None
    ) -> Slice[Item]:
        if status is not None:
            statement = statement.where(Item.status == status)
        return await self._paginate(statement, request, SORTABLE)
