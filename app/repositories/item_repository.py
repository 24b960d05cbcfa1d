from collections.abc import AsyncGenerator, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload, load_only
from sqlalchemy.orm.attributes import set_committed_value

from app.core.pagination import RELEVANCE, PageRequest, Slice
from app.models.item import Item, ItemStatus
from app.models.user import User
from app.repositories.base import SortColumns
from app.repositories.bulk_repository import BulkRepository
from app.repositories.filters import Filters, at_least, at_most, is_null, one_of, starts_with
from app.repositories.full_text import FullText

SORTABLE: SortColumns = {
    "created_at": Item.created_at,
    "updated_at": Item.updated_at,
    "title": Item.title,
}
# Never null in the rows that are sorted by it.
SORTABLE_DELETED: SortColumns = {"deleted_at": Item.deleted_at, "title": Item.title}

_SHOWN_OF_OWNER = load_only(User.public_id, User.is_deleted)
FILTERS: Filters = {
    "status": one_of(Item.status),
    "created_at_gte": at_least(Item.created_at),
    "created_at_lte": at_most(Item.created_at),
    "updated_at_gte": at_least(Item.updated_at),
    "updated_at_lte": at_most(Item.updated_at),
    "title_prefix": starts_with(Item.title),
    "description_null": is_null(Item.description),
}
# Columns rather than objects: of a million rows, that is most of the time.
_EXPORTED = select(
    Item.public_id,
    Item.created_at,
    Item.updated_at,
    Item.title,
    Item.description,
    Item.status,
    select(User.public_id)
    .where(User.id == Item.owner_id)
    .scalar_subquery()
    .label("owner_public_id"),
).where(Item.is_deleted.is_(False))


class ItemRepository(BulkRepository[Item]):
    def __init__(self, session: AsyncSession) -> None:
        super().__init__(Item, session)

    async def create_for_owner(self, owner_id: int, **values: object) -> Item:
        item = await self.create(owner_id=owner_id, **values)
        owner = select(User).where(User.id == owner_id).options(_SHOWN_OF_OWNER)
        set_committed_value(item, "owner", (await self.session.scalars(owner)).one())
        return item

    async def find_visible(self, public_id: UUID, viewer_id: int) -> Item | None:
        """A published item, or one of the viewer's own."""
        statement = self._with_owner().where(
            Item.public_id == str(public_id), or_(*_visible_to(viewer_id))
        )
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

    async def list_visible(self, request: PageRequest, viewer_id: int) -> Slice[Item]:
        visible = _visible_to(viewer_id)
        return await self._paginate(
            self._with_owner(), request, SORTABLE, self._filters(), any_of=visible
        )

    def walk_visible(
        self, request: PageRequest, viewer_id: int
    ) -> AsyncGenerator[Sequence[Any], None]:
        """Every row that `list_visible` has pages of, with the columns of a response."""
        return self._walk(
            _EXPORTED, request, SORTABLE, self._filters(), any_of=_visible_to(viewer_id)
        )

    async def list_owned(self, request: PageRequest, owner_id: int) -> Slice[Item]:
        statement = self._with_owner().where(Item.owner_id == owner_id)
        return await self._paginate(statement, request, SORTABLE, self._filters())

    async def list_deleted(self, request: PageRequest, *, owner_id: int | None) -> Slice[Item]:
        """Deleted items of living owners: of this one, or of all."""
        statement = self._with_owner(include_deleted=True).where(
            Item.is_deleted, Item.owner.has(User.is_deleted.is_(False))
        )
        if owner_id is not None:
            statement = statement.where(Item.owner_id == owner_id)
        return await self._paginate(statement, request, SORTABLE_DELETED)

    async def search_visible(
        self, request: PageRequest, viewer_id: int, *, words: str
    ) -> Slice[Item]:
        """`list_visible` of what has these words, which can be in order of their relevance."""
        if not request.by_relevance:
            return await self.list_visible(request, viewer_id)
        # Whatever is found has to be weighed: there is no order to read it in.
        statement = self._with_owner().where(or_(*_visible_to(viewer_id)))
        statement, relevance = FullText(Item, self.session).ranked(statement, words)
        columns = {**SORTABLE, RELEVANCE: relevance}
        return await self._paginate(statement, request, columns, self._filters())

    def _shown(self) -> Select[Item]:
        return self._with_owner()

    def _with_owner(self, *, include_deleted: bool = False) -> Select[Item]:
        owner = joinedload(Item.owner, innerjoin=True).options(_SHOWN_OF_OWNER)
        return self._select(include_deleted=include_deleted).options(owner)

    def _filters(self) -> Filters:
        return {**FILTERS, "q": FullText(Item, self.session).matches}


def _visible_to(viewer_id: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """What is published, or the viewer's own."""
    return Item.status == ItemStatus.ACTIVE, Item.owner_id == viewer_id
