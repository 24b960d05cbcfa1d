"""Queries of items. The columns and sort orders of lists are in `item_view.py`."""

from collections.abc import AsyncGenerator, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, or_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload, load_only, selectinload
from sqlalchemy.orm.attributes import set_committed_value

from examples.catalogue.models.item import Item
from examples.catalogue.models.tag import Tag
from examples.catalogue.models.user import User
from examples.catalogue.repositories.item_view import (
    ANY_ONE,
    CREATE,
    EXPORTED,
    OWNED,
    SHOWN,
    SORTABLE,
    TAGS,
    VISIBLE,
    VISIBLE_ONE,
    visible_to,
)
from mscr.core.security.principal import Principal
from mscr.core.sort_order import RELEVANCE
from mscr.models.base import utcnow
from mscr.queries.filters import (
    Filters,
    at_least,
    at_most,
    is_null,
    one_of,
    require_declared,
    starts_with,
)
from mscr.queries.full_text import FullText
from mscr.queries.pagination import PageRequest, Slice
from mscr.queries.paging import SortColumns
from mscr.queries.shown_rows import ShownRow, row_of
from mscr.repositories.base import BaseRepository
from mscr.repositories.bulk_repository import BulkRepository

# `deleted_at` is never null in deleted rows.
SORTABLE_DELETED: SortColumns = {"deleted_at": Item.deleted_at, "title": Item.title}

_SHOWN_OF_OWNER = load_only(User.public_id, User.is_deleted)
_SHOWN_OF_TAG = load_only(Tag.public_id, Tag.name, Tag.name_key)
FILTERS: Filters = {
    **TAGS.filters,
    "status": one_of(Item.status),
    "created_at_gte": at_least(Item.created_at),
    "created_at_lte": at_most(Item.created_at),
    "updated_at_gte": at_least(Item.updated_at),
    "updated_at_lte": at_most(Item.updated_at),
    "title_prefix": starts_with(Item.title),
    "description_null": is_null(Item.description),
}


class ItemRepository(BulkRepository[Item], BaseRepository[Item]):
    def __init__(self, session: AsyncSession) -> None:
        super().__init__(Item, session)

    async def create_alone(self, owner: Principal, **values: Any) -> ShownRow:
        """Insert an item without tags, and commit at once.

        Use it only if nothing else belongs to the transaction.

        Raises `UnauthorizedError` for an owner whose account was deleted meanwhile.
        """
        return await CREATE.run(self.session, owner, **values)

    async def create_for_owner(
        self, owner_id: int, tags: Sequence[Tag] = (), **values: object
    ) -> ShownRow:
        """Raises `UnauthorizedError` for an owner whose account was deleted meanwhile."""
        item = await BaseRepository.create(self, owner_id=owner_id, **values)
        owner_public_id = await self._living_owner(owner_id)
        await TAGS.add(self.session, item, tags)
        row: ShownRow = row_of(SHOWN, item, owner_public_id=owner_public_id, tags=tags)
        return row

    async def set_tags(self, item: Item, tags: Sequence[Tag]) -> None:
        """Replace the tags of the item, whose row must be locked."""
        if await TAGS.replace(self.session, item, item.tags, tags):
            set_committed_value(item, "tags", list(tags))
            # Increment the version, too: a client that saw other tags must not overwrite these.
            item.updated_at = utcnow()

    async def find_visible(self, public_id: UUID, viewer_id: int) -> ShownRow | None:
        """Find a published item, or one of the viewer's own."""
        found: ShownRow | None = await VISIBLE_ONE.one_or_none(
            self.session, public_id=str(public_id), viewer_id=viewer_id
        )
        return found

    async def find(self, public_id: UUID) -> ShownRow | None:
        """Find an item of any owner."""
        found: ShownRow | None = await ANY_ONE.one_or_none(self.session, public_id=str(public_id))
        return found

    async def list_visible(self, request: PageRequest, viewer_id: int) -> Slice[ShownRow]:
        _require_filters(request)
        # The common combinations of filters and order have a prepared statement.
        if VISIBLE.is_prepared_for(request):
            return await VISIBLE.read(self.session, request, viewer_id=viewer_id)
        return await self._list(SHOWN, request, any_of=visible_to(viewer_id))

    async def walk_visible(
        self, request: PageRequest, viewer_id: int
    ) -> AsyncGenerator[Sequence[Any], None]:
        """Stream every row that `list_visible` returns, with the columns of an export."""
        request = await TAGS.with_keys(request, self.session)
        async for batch in self._walk(
            EXPORTED, request, SORTABLE, self._filters(), any_of=visible_to(viewer_id)
        ):
            yield batch

    async def list_owned(self, request: PageRequest, owner_id: int) -> Slice[ShownRow]:
        _require_filters(request)
        if OWNED.is_prepared_for(request):
            return await OWNED.read(self.session, request, viewer_id=owner_id)
        return await self._list(SHOWN.where(Item.owner_id == owner_id), request)

    async def list_deleted(self, request: PageRequest, *, owner_id: int | None) -> Slice[Item]:
        """List deleted items of living owners: those of one owner, or of all."""
        statement = self._shown(include_deleted=True).where(
            Item.is_deleted, Item.owner.has(User.is_deleted.is_(False))
        )
        if owner_id is not None:
            statement = statement.where(Item.owner_id == owner_id)
        return await self._paginate(statement, request, SORTABLE_DELETED)

    async def search_visible(
        self, request: PageRequest, viewer_id: int, *, words: str
    ) -> Slice[ShownRow]:
        """List the visible items that contain the words of `q`. They can be sorted by relevance."""
        if not request.by_relevance or VISIBLE.is_prepared_for(request):
            return await self.list_visible(request, viewer_id)
        request = await TAGS.with_keys(request, self.session)
        statement, relevance = FullText(Item, self.session).ranked(SHOWN, words)
        columns = {**SORTABLE, RELEVANCE: relevance}
        return await self._paginate_columns(
            statement,
            request,
            columns,
            self._filters(),
            any_of=visible_to(viewer_id),
            shown=SHOWN,
        )

    async def _list(
        self,
        statement: Select[Any],
        request: PageRequest,
        *,
        any_of: Sequence[ColumnElement[bool]] = (),
    ) -> Slice[ShownRow]:
        request = await TAGS.with_keys(request, self.session)
        if any_of and TAGS.filters_by(request):
            # The caller may see most items of their own tags, so visibility is checked row by row.
            statement, any_of = statement.where(or_(*any_of)), ()
        narrowed, columns, filters = TAGS.narrow(statement, request, SORTABLE, self._filters())
        return await self._paginate_columns(
            narrowed, request, columns, filters, any_of=any_of, shown=statement
        )

    def _shown(self, *, include_deleted: bool = False) -> Select[Item]:
        owner = joinedload(Item.owner, innerjoin=True).options(_SHOWN_OF_OWNER)
        # Load the tags of all items with one more statement: a join would repeat each item.
        tags = selectinload(Item.tags).options(_SHOWN_OF_TAG)
        return self._select(include_deleted=include_deleted).options(owner, tags)

    def _filters(self) -> Filters:
        return {**FILTERS, "q": FullText(Item, self.session).matches}


def _require_filters(request: PageRequest) -> None:
    require_declared({*FILTERS, "q"}, request.filters)
