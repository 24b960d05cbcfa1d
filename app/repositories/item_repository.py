from collections.abc import AsyncGenerator, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Select, String, bindparam, delete, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload, load_only, selectinload
from sqlalchemy.orm.attributes import set_committed_value

from app.core.exceptions import UnauthorizedError
from app.core.pagination import RELEVANCE, PageRequest, Slice
from app.core.security.principal import Principal
from app.models.base import UTCDateTime, new_public_id, utcnow
from app.models.item import Item
from app.models.tag import Tag, item_tags
from app.models.user import User
from app.repositories.bulk_repository import BulkRepository
from app.repositories.column_bounds import require_fit
from app.repositories.filters import (
    Filters,
    at_least,
    at_most,
    is_null,
    one_of,
    require_declared,
    starts_with,
)
from app.repositories.full_text import FullText
from app.repositories.item_view import (
    ANY_ONE,
    EXPORTED,
    OWN_COLUMNS,
    OWNED,
    SHOWN,
    SORTABLE,
    VISIBLE,
    VISIBLE_ONE,
    ShownItem,
    ShownTag,
    visible_to,
)
from app.repositories.paging import SortColumns
from app.repositories.prepared_statement import PreparedStatement
from app.repositories.tag_filters import (
    LINK_COLUMNS,
    has_all_tags,
    has_any_tag,
    is_by_tag,
    link_filters,
    reads_links,
    with_tag_keys,
)

# Never null in the rows that are sorted by it.
SORTABLE_DELETED: SortColumns = {"deleted_at": Item.deleted_at, "title": Item.title}

_SHOWN_OF_OWNER = load_only(User.public_id, User.is_deleted)
_SHOWN_OF_TAG = load_only(Tag.public_id, Tag.name, Tag.name_key)
FILTERS: Filters = {
    "status": one_of(Item.status),
    "tag": has_any_tag,
    "tag_all": has_all_tags,
    "created_at_gte": at_least(Item.created_at),
    "created_at_lte": at_most(Item.created_at),
    "updated_at_gte": at_least(Item.updated_at),
    "updated_at_lte": at_most(Item.updated_at),
    "title_prefix": starts_with(Item.title),
    "description_null": is_null(Item.description),
}


_NOW: Final = bindparam("now", type_=UTCDateTime())
_NEW: Final = {
    Item.public_id: bindparam("public_id", type_=String),
    Item.title: bindparam("title", type_=String),
    Item.description: bindparam("description", type_=String),
    Item.status: bindparam("status", type_=Item.status.type),
    Item.created_at: _NOW,
    Item.updated_at: _NOW,
    Item.owner_id: User.id,
}
# The owner is locked as a foreign key would do it, and before: a deletion of the account is waited
# for and then seen, or waits itself and takes the item along.
CREATE: Final = PreparedStatement(
    insert(Item)
    .from_select(
        [column.key for column in _NEW],
        select(*_NEW.values())
        .where(User.id == bindparam("owner_id", type_=User.id.type), User.is_deleted.is_(False))
        .with_for_update(read=True, key_share=True),
        include_defaults=False,
    )
    .returning(*OWN_COLUMNS, Item.version)
)


class ItemRepository(BulkRepository[Item]):
    def __init__(self, session: AsyncSession) -> None:
        super().__init__(Item, session)

    async def create_alone(self, owner: Principal, **values: Any) -> ShownItem:
        """All that a use case does: committed at once, in one round trip instead of four.

        Raises `UnauthorizedError` for an owner whose account was deleted meanwhile.
        """
        require_fit(Item, values)
        now = utcnow()
        row = await CREATE.one_or_none(
            self.session, public_id=new_public_id(), owner_id=owner.user_id, now=now, **values
        )
        if row is None:
            raise UnauthorizedError
        *own, version = row
        return ShownItem.new(own, owner.public_id, [], version)

    async def create_for_owner(
        self, owner_id: int, tags: Sequence[Tag] = (), **values: object
    ) -> ShownItem:
        """Raises `UnauthorizedError` for an owner whose account was deleted meanwhile."""
        item = await self._insert(owner_id=owner_id, **values)
        owner_public_id = await self._living_owner(owner_id)
        await self._link(item, tags)
        own = [getattr(item, column.key) for column in OWN_COLUMNS]
        shown_tags = [ShownTag(tag.public_id, tag.name) for tag in tags]
        return ShownItem.new(own, owner_public_id, shown_tags, item.version)

    async def set_tags(self, item: Item, tags: Sequence[Tag]) -> None:
        """Have the item, whose row is locked, these tags and no others."""
        gone = [tag.id for tag in item.tags if tag not in tags]
        added = [tag for tag in tags if tag not in item.tags]
        if not gone and not added:
            return
        links = item_tags.c
        if gone:
            taken_off = delete(item_tags).where(links.item_id == item.id, links.tag_id.in_(gone))
            await self.session.execute(taken_off)
        await self._link(item, added)
        set_committed_value(item, "tags", list(tags))
        # With it, the version: whoever has seen it with other tags may not overwrite these.
        item.updated_at = utcnow()

    async def find_visible(self, public_id: UUID, viewer_id: int) -> ShownItem | None:
        """A published item, or one of the viewer's own."""
        row = await VISIBLE_ONE.one_or_none(
            self.session, public_id=str(public_id), viewer_id=viewer_id
        )
        return None if row is None else ShownItem.of(*row)

    async def find(self, public_id: UUID) -> ShownItem | None:
        """Anybody's item."""
        row = await ANY_ONE.one_or_none(self.session, public_id=str(public_id))
        return None if row is None else ShownItem.of(*row)

    async def find_for_update(
        self, public_id: UUID, *, include_deleted: bool = False
    ) -> Item | None:
        """The object, with its row locked until the end of the transaction."""
        statement = self._shown(include_deleted=include_deleted)
        statement = statement.where(Item.public_id == str(public_id)).with_for_update(of=Item)
        statement = statement.execution_options(populate_existing=True)
        return (await self.session.scalars(statement)).one_or_none()

    async def keep_owner(self, public_id: UUID) -> None:
        """Have the item's owner stay until the end of the transaction, or be gone by now.

        Lock the owner before the item, as a deletion of the account does.
        """
        owner_id = select(Item.owner_id).where(Item.public_id == str(public_id)).scalar_subquery()
        owner = select(User.id).where(User.id == owner_id)
        await self.session.execute(owner.with_for_update(read=True, key_share=True))

    async def list_visible(self, request: PageRequest, viewer_id: int) -> Slice[ShownItem]:
        _require_filters(request)
        if VISIBLE.has(request):
            return await VISIBLE.read(self.session, request, viewer_id=viewer_id)
        return await self._list(SHOWN, request, any_of=visible_to(viewer_id))

    async def walk_visible(
        self, request: PageRequest, viewer_id: int
    ) -> AsyncGenerator[Sequence[Any], None]:
        """Every row that `list_visible` has pages of, with the columns of an exported one."""
        request = await with_tag_keys(request, self.session)
        async for batch in self._walk(
            EXPORTED, request, SORTABLE, self._filters(), any_of=visible_to(viewer_id)
        ):
            yield batch

    async def list_owned(self, request: PageRequest, owner_id: int) -> Slice[ShownItem]:
        _require_filters(request)
        if OWNED.has(request):
            return await OWNED.read(self.session, request, viewer_id=owner_id)
        return await self._list(SHOWN.where(Item.owner_id == owner_id), request)

    async def list_deleted(self, request: PageRequest, *, owner_id: int | None) -> Slice[Item]:
        """Deleted items of living owners: of this one, or of all."""
        statement = self._shown(include_deleted=True).where(
            Item.is_deleted, Item.owner.has(User.is_deleted.is_(False))
        )
        if owner_id is not None:
            statement = statement.where(Item.owner_id == owner_id)
        return await self._paginate(statement, request, SORTABLE_DELETED)

    async def search_visible(
        self, request: PageRequest, viewer_id: int, *, words: str
    ) -> Slice[ShownItem]:
        """`list_visible` of what has these words, which can be in order of their relevance."""
        if not request.by_relevance:
            return await self.list_visible(request, viewer_id)
        request = await with_tag_keys(request, self.session)
        # Whatever is found has to be weighed: there is no order to read it in.
        statement = SHOWN.where(or_(*visible_to(viewer_id)))
        statement, relevance = FullText(Item, self.session).ranked(statement, words)
        columns = {**SORTABLE, RELEVANCE: relevance}
        return await self._paginate_columns(
            statement, request, columns, self._filters(), make=ShownItem.of, shown=SHOWN
        )

    async def _link(self, item: Item, tags: Sequence[Tag]) -> None:
        place = {"item_id": item.id, "created_at": item.created_at, "public_id": item.public_id}
        if rows := [{**place, "tag_id": tag.id} for tag in tags]:
            await self.session.execute(insert(item_tags), rows)

    async def _list(
        self,
        statement: Select[Any],
        request: PageRequest,
        *,
        any_of: Sequence[ColumnElement[bool]] = (),
    ) -> Slice[ShownItem]:
        request = await with_tag_keys(request, self.session)
        if any_of and is_by_tag(request):
            # Whoever has a tag may see most of its items: each is looked at, and shown or not.
            statement, any_of = statement.where(or_(*any_of)), ()
        shown, columns, filters = statement, SORTABLE, self._filters()
        if reads_links(request):
            statement = statement.join(item_tags, item_tags.c.item_id == Item.id)
            columns, filters = {**columns, **LINK_COLUMNS}, {**filters, **link_filters(request)}
        return await self._paginate_columns(
            statement,
            request,
            columns,
            filters,
            make=ShownItem.of,
            any_of=any_of,
            shown=shown,
        )

    def _shown(self, *, include_deleted: bool = False) -> Select[Item]:
        owner = joinedload(Item.owner, innerjoin=True).options(_SHOWN_OF_OWNER)
        # All tags of all items in one more statement: joined, each would repeat its item.
        tags = selectinload(Item.tags).options(_SHOWN_OF_TAG)
        return self._select(include_deleted=include_deleted).options(owner, tags)

    def _filters(self) -> Filters:
        return {**FILTERS, "q": FullText(Item, self.session).matches}


def _require_filters(request: PageRequest) -> None:
    require_declared({*FILTERS, "q"}, request.filters)
