"""Read, lock, write, count and page the rows of one model.

Subclasses add named queries. Decisions belong to services.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Generic, TypeVar, overload
from uuid import UUID

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction

from mscr.core.exceptions import ConflictError, RestoreConflictError
from mscr.models.base import ModelBase
from mscr.models.uniqueness import condition_of, unique_names, unique_of
from mscr.queries.column_bounds import require_fit
from mscr.queries.filters import NO_FILTERS, Filters
from mscr.queries.integrity import (
    NO_UNIQUE_ERRORS,
    UniqueErrors,
    refuse_duplicate,
    violates_uniqueness,
)
from mscr.queries.keyset import position_of
from mscr.queries.pagination import PageRequest, Slice
from mscr.queries.paging import (
    Narrowed,
    SortColumns,
    count_of,
    key_after_numbers,
    narrow,
    total_on_page,
)
from mscr.queries.shown_rows import named_rows

__all__ = ["BaseRepository", "ModelType", "SortColumns"]

ModelType = TypeVar("ModelType", bound=ModelBase)
T = TypeVar("T")


class BaseRepository(Generic[ModelType]):
    """Create, read, update and soft-delete rows of one model.

    Methods flush and never commit: the service commits, once, as its last step. Queries leave
    soft-deleted rows out unless the call has `include_deleted=True`.
    """

    # A subclass names its model here, or passes it to the constructor.
    model: type[ModelType]
    # Errors of duplicates that `create`, `update` and `restore` raise, by the names of the unique
    # indexes. They end the transaction: use `unless_taken` to go on after one.
    unique_errors: ClassVar[UniqueErrors] = NO_UNIQUE_ERRORS

    @overload
    def __init__(self, session: AsyncSession, /) -> None: ...

    @overload
    def __init__(self, model: type[ModelType], session: AsyncSession, /) -> None: ...

    def __init__(self, *given: Any) -> None:
        *models, session = given
        self.session: AsyncSession = session
        if models:
            [self.model] = models

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.unique_errors:
            unknown = {*cls.unique_errors} - {*unique_names(cls.model).values()}
            if unknown:
                raise TypeError(f"{cls.__name__}: the model has no unique {sorted(unknown)}")

    async def flush(self) -> None:
        """Write the pending changes. Raise the error of `unique_errors` for a duplicate."""
        try:
            await self.session.flush()
        except IntegrityError as error:
            refuse_duplicate(error, self.model, self.unique_errors)
            raise

    async def commit(self) -> None:
        await self.session.commit()

    async def rollback(self) -> None:
        await self.session.rollback()

    def savepoint(self) -> AsyncSessionTransaction:
        """Open a savepoint: `async with repository.savepoint():`.

        An exception that leaves the block rolls back to its beginning, for all repositories of the
        database session. Earlier work of the transaction stays.
        """
        return self.session.begin_nested()

    @asynccontextmanager
    async def unless_taken(
        self, *, other_than: ModelType | None = None, **values: Any
    ) -> AsyncIterator[None]:
        """Write the values of a unique index in the block: `async with`.

        Raise the index's error of `unique_errors`, else `ConflictError`, if a row has them, except
        `other_than`: the row that changes. If two concurrent transactions both find them free, one
        gets the same error from the index. It rolls back the block only: earlier work of the
        transaction stays, and the service can go on.
        """
        unique = unique_of(self.model, values)
        name = str(unique.name)
        duplicate = self.unique_errors.get(name, ConflictError)
        taken = select(self.model.id).filter_by(**values)
        covered = condition_of(unique, self.session.get_bind().dialect.name)
        if covered is not None:
            taken = taken.where(covered)
        if other_than is not None:
            taken = taken.where(self.model.id != other_than.id)
        # Check first: an error of the database costs more, and is logged by its server.
        if await self.session.scalar(select(taken.exists())):
            raise duplicate
        async with self._refusing({name: duplicate}):
            yield

    @asynccontextmanager
    async def _refusing(self, unique_errors: UniqueErrors) -> AsyncIterator[None]:
        """Write in a savepoint, and raise these errors for duplicates."""
        try:
            async with self.savepoint():
                yield
        except IntegrityError as error:
            refuse_duplicate(error, self.model, unique_errors)
            raise

    async def create(self, /, **kwargs: Any) -> ModelType:
        """Insert a row.

        Raise the error of `unique_errors` for a duplicate, and `ValidationFailedError` for a value
        that its column cannot hold.
        """
        require_fit(self.model, kwargs)
        instance = self.model(**kwargs)
        self.session.add(instance)
        await self.flush()
        return instance

    async def get(self, row_id: int, *, include_deleted: bool = False) -> ModelType | None:
        """Return the row with this primary key, or None."""
        statement = self._select(include_deleted=include_deleted).filter_by(id=row_id)
        return (await self.session.scalars(statement)).one_or_none()

    async def get_by_public_id(
        self, public_id: UUID | str, *, include_deleted: bool = False
    ) -> ModelType | None:
        statement = self._select(include_deleted=include_deleted)
        return (
            await self.session.scalars(statement.filter_by(public_id=str(public_id)))
        ).one_or_none()

    async def lock(self, **equal: Any) -> ModelType | None:
        """Lock the living row with these values (FOR UPDATE) and return it, or None.

        Waits for another transaction that holds the row. The lock lasts until the end of this one.
        """
        statement = self._select().filter_by(**equal).with_for_update()
        # Refresh an object of the row that was loaded before the lock: it may be out of date.
        statement = statement.execution_options(populate_existing=True)
        return (await self.session.scalars(statement)).one_or_none()

    # The name hides the builtin in this class body, so annotations here use Sequence.
    async def list(
        self, *, limit: int = 100, offset: int = 0, include_deleted: bool = False, **equal: Any
    ) -> Sequence[ModelType]:
        """Return rows whose columns equal the given values, in order of creation."""
        statement = self._select(include_deleted=include_deleted).filter_by(**equal)
        statement = statement.order_by(self.model.id).limit(limit).offset(offset)
        return (await self.session.scalars(statement)).all()

    async def update(self, instance: ModelType, /, **values: Any) -> ModelType:
        """Set the given columns, and flush.

        Raise `AttributeError` for a name that is no column, `ValidationFailedError` for a value
        that its column cannot hold, and the error of `unique_errors` for a duplicate.
        """
        unknown = values.keys() - self.model.__mapper__.column_attrs.keys()
        if unknown:
            raise AttributeError(f"{self.model.__name__} has no column {sorted(unknown)}")
        require_fit(self.model, values)
        for name, value in values.items():
            setattr(instance, name, value)
        await self.flush()
        return instance

    async def soft_delete(self, instance: ModelType) -> None:
        """Mark the row as deleted (a tombstone). Unique constraints no longer cover it."""
        instance.soft_delete()
        await self.flush()

    async def restore(self, instance: ModelType) -> None:
        """Undo `soft_delete`.

        Raise the error of `unique_errors`, or `RestoreConflictError`, if a living row has a
        duplicate of a unique value by now.
        """
        try:
            async with self.savepoint():
                instance.restore()
                await self.flush()
        except IntegrityError as error:
            if violates_uniqueness(error):
                raise RestoreConflictError from None
            raise

    async def exists(self, *, include_deleted: bool = False, **equal: Any) -> bool:
        statement = self._select(include_deleted=include_deleted).filter_by(**equal)
        return bool(await self.session.scalar(select(statement.exists())))

    async def count(self, *, include_deleted: bool = False, **equal: Any) -> int:
        statement = self._select(include_deleted=include_deleted).filter_by(**equal)
        return await self.session.scalar(count_of(self.model, statement)) or 0

    def _select(self, *, include_deleted: bool = False) -> Select[ModelType]:
        statement = select(self.model)
        return statement if include_deleted else statement.where(self.model.is_deleted.is_(False))

    async def _paginate(
        self,
        statement: Select[ModelType],
        request: PageRequest,
        columns: SortColumns,
        filters: Filters = NO_FILTERS,
        *,
        any_of: Sequence[ColumnElement[bool]] = (),
    ) -> Slice[ModelType]:
        """Return the page of `statement` that `request` names, by number or by cursor.

        - `columns` is the allow-list of sort columns, by their names in the query.
        - `filters` has a condition for each filter field of the query.
        - `any_of`: rows must fulfil at least one of these conditions. The query reads each of them
          from its own index, in sort order, because no index serves an OR. A full-text search uses
          a plain OR: it finds rows by their words first, then sorts them.

        `public_id` breaks ties, so that no page repeats or skips a row; `columns` may replace it
        by another column of the same values.
        """
        found = narrow(self.model, statement, request, columns, filters, any_of)
        return await self._page(found, request, self._objects)

    async def _paginate_columns(
        self,
        statement: Select[Any],
        request: PageRequest,
        columns: SortColumns,
        filters: Filters = NO_FILTERS,
        *,
        any_of: Sequence[ColumnElement[bool]] = (),
        shown: Select[Any] | None = None,
    ) -> Slice[Any]:
        """Return a page like `_paginate`, of a statement that selects columns, as named tuples.

        They need `public_id` and the sort columns: the next cursor is made from them. `shown`
        selects the same columns as `statement`, without the joins that only its conditions need.
        """

        async def read(rows: Select[Any]) -> Sequence[Any]:
            return named_rows(await self.session.execute(rows))

        found = narrow(self.model, statement, request, columns, filters, any_of, shown)
        return await self._page(found, request, read)

    async def _objects(self, rows: Select[Any]) -> Sequence[ModelType]:
        return (await self.session.scalars(rows)).all()

    async def _page(
        self,
        found: Narrowed,
        request: PageRequest,
        read: Callable[[Select[Any]], Awaitable[Sequence[T]]],
    ) -> Slice[T]:
        if request.page is not None:
            # A numbered page: OFFSET, and the total. The last one has a cursor to read on with.
            rows = found.page(last_row=request.last_row, size=request.size, offset=request.offset)
            page = await read(rows)
            total = total_on_page(page, request)
            if total is None:
                total = await self.session.scalar(found.count())
            return Slice(page, total=total, next_key=key_after_numbers(page, request, found.order))
        # Keyset paging needs no count: one extra row shows whether there is a next page.
        following = await read(found.first(request.size + 1))
        items = following[: request.size]
        more = len(following) > request.size
        return Slice(items, next_key=position_of(items[-1], found.order) if more else None)
