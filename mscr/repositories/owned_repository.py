"""Read and insert rows that belong to users, without a race against an account's deletion."""

from collections.abc import Callable, Sequence
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, Select, bindparam, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapper

from mscr.core.exceptions import UnauthorizedError
from mscr.core.security.principal import Principal
from mscr.core.sort_order import RELEVANCE
from mscr.models.base import utcnow
from mscr.models.ownership import account_of, child_lists
from mscr.queries.filters import NO_FILTERS, Filter, Filters, filter_by_name
from mscr.queries.full_text import FullText
from mscr.queries.integrity import refuse_duplicate
from mscr.queries.owned_queries import OwnedQueries, values_with_defaults
from mscr.queries.pagination import PageRequest, Slice
from mscr.queries.prepared_pages import PreparedPages
from mscr.queries.prepared_statement import PreparedStatement
from mscr.queries.shown_columns import Computed, is_loaded
from mscr.queries.shown_rows import ShownRow
from mscr.repositories.base import BaseRepository, ModelType
from mscr.repositories.child_rows import (
    replace_children,
    restore_children,
    soft_delete_children,
    with_children,
)
from mscr.repositories.connection import ConnectionMixin

if TYPE_CHECKING:
    from mscr.models.account import AccountMixin

# By repository, model and fields: bounded by the responses of the application and their orders.
_PREPARED: Final[dict[tuple[type, type, tuple[str, ...]], OwnedQueries]] = {}


class OwnedRepository(ConnectionMixin, BaseRepository[ModelType]):
    """Rows that belong to users: read by those who may, inserted only for living accounts.

    `read`, `read_page`, `read_own_page` and `insert` use prepared statements. They return named
    tuples of the columns that the `fields` of a response name.
    """

    # Columns of responses that are no columns of the model, by the names of their fields.
    computed: ClassVar[Computed] = MappingProxyType({})
    # Filters of lists that do not follow from the names of their fields.
    filters: ClassVar[Filters] = NO_FILTERS
    # Whether a migration has created a full-text index of the table (docs/lists.md). Lists then
    # take the filter `q` and the sort order `relevance`.
    searched: ClassVar[bool] = False

    def visible_to(self, viewer_id: Any) -> Sequence[ColumnElement[bool]]:
        """Return conditions. A row that fulfils one of them is visible to the viewer.

        Override it to share rows. Each condition needs an index for the sort orders of lists.
        """
        return self._owned_by(viewer_id)

    async def read(
        self, public_id: UUID, fields: Sequence[str], *, viewer_id: int | None
    ) -> ShownRow | None:
        """Return the row if it is visible to the viewer (None: to an administrator), or None."""
        queries, found = self._queries(fields), None
        if viewer_id is None:
            found = await queries.one.one_or_none(self.session, public_id=str(public_id))
        else:
            found = await queries.visible_one.one_or_none(
                self.session, public_id=str(public_id), viewer_id=viewer_id
            )
        return cast("ShownRow | None", found)

    async def read_page(
        self, request: PageRequest, fields: Sequence[str], *, viewer_id: int
    ) -> Slice[ShownRow]:
        """Return a page of all rows that are visible to the viewer."""
        queries = self._queries(fields, request)
        pages, visible = queries.visible_pages, self.visible_to
        return await self._read(pages, queries, request, viewer_id, visible)

    async def read_own_page(
        self, request: PageRequest, fields: Sequence[str], *, owner_id: int
    ) -> Slice[ShownRow]:
        """Return a page of the owner's rows."""
        queries = self._queries(fields, request)
        pages, visible = queries.owned_pages, self._owned_by
        return await self._read(pages, queries, request, owner_id, visible)

    async def insert(
        self, owner: Principal, fields: Sequence[str], values: dict[str, Any]
    ) -> ShownRow | None:
        """Insert a row, commit at once, and return it. Use it only as a transaction's one write.

        Return None, and do nothing, if only `create` can insert the row: in a transaction that has
        begun, if a subclass overrides `create`, if the caller's commits are counted for a replica,
        or if a value or a field is no column of the table: once it is committed, the row could be
        gone before it is read. Raise `UnauthorizedError` if the owner's account was deleted
        meanwhile, `ValidationFailedError` for a value that its column cannot hold, and the error of
        `unique_errors` for a duplicate.
        """
        queries = self._queries(fields)
        if not queries.can_insert or self._must_create():
            return None
        complete = values_with_defaults(self.model, values)
        statement = queries.insert(frozenset(complete))
        if statement is None:
            return None
        try:
            return await statement.run(self.session, owner, **complete)
        except IntegrityError as error:
            refuse_duplicate(error, self.model, self.unique_errors)
            raise

    def _must_create(self) -> bool:
        """Return whether `insert` would bypass what `create` does."""
        is_overridden = type(self).create is not OwnedRepository.create
        return is_overridden or self.counts_for_replica or self.session.in_transaction()

    async def lock_row(self, public_id: UUID, *, include_deleted: bool = False) -> ModelType | None:
        """Lock a row of any owner until the end of the transaction, with what `_shown` selects.

        Return None if there is no such row.
        """
        return await self._lock(public_id, self._shown(include_deleted=include_deleted))

    async def lock_visible(self, public_id: UUID, *, viewer_id: int) -> ModelType | None:
        """Lock a row that is visible to the viewer, until the end of the transaction, or None.

        Use it for a row to which a new row of another table refers: it cannot be deleted meanwhile.
        """
        return await self._lock(public_id, self._shown().where(or_(*self.visible_to(viewer_id))))

    async def _lock(self, public_id: UUID, statement: Select[ModelType]) -> ModelType | None:
        model: Any = self.model
        statement = statement.where(model.public_id == str(public_id))
        # Refresh an object of the row that was loaded before the lock: it may be out of date.
        locked = statement.with_for_update(of=self.model).execution_options(populate_existing=True)
        return (await self.session.scalars(locked)).one_or_none()

    async def shown(self, row: Any, fields: Sequence[str]) -> ShownRow:
        """Return a row of this transaction with all that a response shows of it."""
        if is_loaded(row, fields):
            return cast("ShownRow", row)
        found = await self._queries(fields).one.one_or_none(self.session, public_id=row.public_id)
        return cast("ShownRow", found)

    async def create(self, /, **kwargs: Any) -> ModelType:
        """Insert a row, with its children: a list of their values for each relationship to them.

        Raise `UnauthorizedError` if the owner's account was deleted meanwhile, and
        `ValidationFailedError` for a value that its column cannot hold.
        """
        instance = await super().create(**with_children(self.model, kwargs))
        await self._require_owner(kwargs.get("owner_id"))
        return instance

    async def update(self, instance: ModelType, /, **values: Any) -> ModelType:
        """Set the given columns, and flush. Replace all children that are given by a relationship.

        Raise what the method of `BaseRepository` raises.
        """
        lists = child_lists(self.model.__mapper__)
        given = values.keys() & lists.keys()
        if not given:
            return await super().update(instance, **values)
        children = with_children(self.model, {name: values.pop(name) for name in given})
        # The response shows them: raise the version, also if no column changes.
        cast("Any", instance).updated_at = utcnow()
        await super().update(instance, **values)
        for name, rows in children.items():
            await replace_children(self.session, lists[name], instance.id, rows)
        await self.flush()
        return instance

    async def soft_delete(self, instance: ModelType) -> None:
        """Mark the row and its children as deleted."""
        await super().soft_delete(instance)
        when = instance.deleted_at or utcnow()
        await soft_delete_children(self.session, self.model.__mapper__, [instance.id], when)

    async def restore(self, instance: ModelType) -> None:
        """Undo `soft_delete`: children that were deleted before the row stay deleted.

        Raise what the method of `BaseRepository` raises.
        """
        when = instance.deleted_at
        await super().restore(instance)
        if when is not None:
            await restore_children(self.session, self.model.__mapper__, [instance.id], when)

    async def keep_owner(self, public_id: UUID) -> bool:
        """Lock a row's owner (FOR KEY SHARE), so that the account cannot be deleted concurrently.

        Return whether there is such a row with a living owner.

        Call it before locking the row itself. A deletion of the account also locks the owner first,
        so the two cannot deadlock.
        """
        account = cast("type[AccountMixin]", account_of(self.model.__mapper__))
        rows = self.model.__table__.c
        owner_id = select(rows.owner_id).where(rows.public_id == str(public_id)).scalar_subquery()
        owner = select(account.id).where(account.id == owner_id, account.is_deleted.is_(False))
        locked = owner.with_for_update(read=True, key_share=True)
        return await self.session.scalar(locked) is not None

    def _shown(self, *, include_deleted: bool = False) -> Select[ModelType]:
        """Select living rows with all that a response shows. A subclass adds its joins."""
        return self._select(include_deleted=include_deleted)

    def _queries(self, fields: Sequence[str], request: PageRequest | None = None) -> OwnedQueries:
        # The next cursor is made from the sort columns, so a page needs them too.
        keys = () if request is None else (key.field for key in request.sort)
        shown = (*fields, RELEVANCE) if self.searched else fields
        further = tuple(dict.fromkeys(key for key in keys if key not in shown))
        key = (type(self), self.model, (*fields, *further))
        if key not in _PREPARED:
            _PREPARED[key] = OwnedQueries(
                self.model,
                key[2],
                self.computed,
                self.visible_to,
                self.filters,
                searched=self.searched,
            )
        return _PREPARED[key]

    async def _read(
        self,
        prepared: PreparedPages,
        queries: OwnedQueries,
        request: PageRequest,
        viewer_id: int,
        visible_to: Callable[[int], Sequence[ColumnElement[bool]]],
    ) -> Slice[ShownRow]:
        """Return a page of the rows that fulfil one of the conditions, prepared if possible."""
        filters = {name: self._filter(name) for name in request.filters}
        if prepared.is_prepared_for(request) and queries.is_prepared(request.sort[0].field):
            return await prepared.read(self.session, request, viewer_id=viewer_id)
        # Not before: building an expression takes a tenth of a prepared page's time.
        conditions = visible_to(viewer_id)
        shown, any_of = queries.shown, conditions
        if len(conditions) == 1:
            shown, any_of = shown.where(*conditions), ()
        statement, columns = shown, queries.columns
        if request.by_relevance:
            words = request.filters["q"]
            statement, relevance = FullText(self.model, self.session).ranked(shown, words)
            columns = {**columns, RELEVANCE: relevance}
        return await self._paginate_columns(
            statement, request, columns, filters, any_of=any_of, shown=shown
        )

    def _owned_by(self, owner_id: Any) -> Sequence[ColumnElement[bool]]:
        model: Any = self.model
        return (model.owner_id == owner_id,)

    def _filter(self, name: str) -> Filter:
        """Return the filter of a field. Raise `LookupError` if there is none."""
        if name == "q" and self.searched:
            return self._matches
        if name in self.filters:
            return self.filters[name]
        return filter_by_name(self.model.__mapper__, name)

    def _matches(self, words: str) -> ColumnElement[bool]:
        return FullText(self.model, self.session).matches(words)

    async def _require_owner(self, owner_id: int | None) -> None:
        """Check as `_living_owner` does, if users own the rows."""
        if owner_id is not None and account_of(self.model.__mapper__):
            await self._living_owner(owner_id)

    async def _living_owner(self, owner_id: int) -> str:
        """Return the public id of the rows' owner.

        Raise `UnauthorizedError` if the account was deleted. Call this after inserting the rows:
        the check of their foreign key locks the owner's row. It has therefore waited for a deletion
        that came first, which this query sees. A deletion that comes later waits for this
        transaction, and then deletes its rows too.
        """
        living = _select_living_owner(self.model.__mapper__)
        owner = await living.one_or_none(self.session, owner_id=owner_id)
        if owner is None:
            raise UnauthorizedError
        return str(owner.public_id)


@cache
def _select_living_owner(mapper: Mapper[Any]) -> PreparedStatement:
    """Prepare the query for a living owner, for a model whose rows belong to users."""
    account = cast("type[AccountMixin]", account_of(mapper))
    return PreparedStatement(
        select(account.public_id).where(
            account.id == bindparam("owner_id", type_=Integer), account.is_deleted.is_(False)
        )
    )
