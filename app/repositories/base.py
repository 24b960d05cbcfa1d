"""What every repository can do. Subclasses add named queries and decide nothing."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, Row, Select, bindparam, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction

from app.core.exceptions import RestoreConflictError, UnauthorizedError
from app.core.pagination import PageRequest, Slice
from app.db.session_info import AFTER_COMMIT, COUNTS_WRITES
from app.models.base import Base
from app.models.ownership import is_owned
from app.models.user import User
from app.repositories.column_bounds import require_fit
from app.repositories.filters import NO_FILTERS, Filters
from app.repositories.integrity import violates_uniqueness
from app.repositories.keyset import position_of
from app.repositories.paging import Narrowed, SortColumns, beyond_numbers, count_of, narrow
from app.repositories.prepared_statement import PreparedStatement, give_back, one_connection

__all__ = ["BaseRepository", "SortColumns"]

ModelType = TypeVar("ModelType", bound=Base)
T = TypeVar("T")

_LIVING_OWNER: Final = PreparedStatement(
    select(User.public_id).where(
        User.id == bindparam("owner_id", type_=Integer), User.is_deleted.is_(False)
    )
)


def take_calls(session: AsyncSession) -> Sequence[Callable[[], None]]:
    """What waits for the commit: of the session, whichever of its repositories was told."""
    calls: Sequence[Callable[[], None]] = session.info.pop(AFTER_COMMIT, ())
    return calls


class BaseRepository(Generic[ModelType]):
    """Database operations on one model. It flushes; the service commits.

    Soft-deleted rows are invisible everywhere unless `include_deleted=True` asks for them.
    """

    def __init__(self, model: type[ModelType], session: AsyncSession) -> None:
        self.model = model
        self.session = session

    @property
    def counts_writes(self) -> bool:
        """Whether commits of the session count for its caller: those past it would be missed."""
        return COUNTS_WRITES in self.session.info

    async def flush(self) -> None:
        await self.session.flush()

    async def commit(self) -> None:
        calls = take_calls(self.session)
        await self.session.commit()
        for call in calls:
            call()

    async def rollback(self) -> None:
        take_calls(self.session)
        await self.session.rollback()

    def savepoint(self) -> AsyncSessionTransaction:
        """A part that may fail alone: `async with repository.savepoint():`.

        An exception that leaves the block undoes what all repositories of the session did in it,
        and nothing before.
        """
        return self.session.begin_nested()

    def one_connection(self) -> AbstractContextManager[None]:
        """For what makes several `PreparedStatement`s in turn: `with repository.one_connection():`.

        Nothing else is to be waited for in it, but after `release()`.
        """
        return one_connection(self.session)

    async def release(self) -> None:
        """Give the connection back before slow work; what was read is detached."""
        take_calls(self.session)
        give_back(self.session)
        await self.session.close()

    def after_commit(self, call: Callable[[], None]) -> None:
        """Have `call` called once what is done by now is committed, and never if it is undone."""
        self.session.info.setdefault(AFTER_COMMIT, []).append(call)

    async def create(self, **kwargs: Any) -> ModelType:
        """Add a row.

        Raises `UnauthorizedError` for an owner whose account was deleted meanwhile, and
        `ValidationFailedError` for a value that its column cannot hold.
        """
        instance = await self._insert(**kwargs)
        await self._require_owner(getattr(instance, "owner_id", None))
        return instance

    async def _insert(self, **kwargs: Any) -> ModelType:
        require_fit(self.model, kwargs)
        instance = self.model(**kwargs)
        self.session.add(instance)
        await self.flush()
        return instance

    async def _require_owner(self, owner_id: int | None) -> None:
        """As `_living_owner`, where users own the rows."""
        if owner_id is not None and is_owned(self.model):
            await self._living_owner(owner_id)

    async def _living_owner(self, owner_id: int) -> str:
        """The public id of the rows' owner, unless the account was deleted: `UnauthorizedError`.

        Call it after inserting the rows: the foreign key has waited for a deletion. One that comes
        later waits for this transaction, and takes along what it wrote.
        """
        owner = await _LIVING_OWNER.one_or_none(self.session, owner_id=owner_id)
        if owner is None:
            raise UnauthorizedError
        return str(owner[0])

    async def get(self, row_id: int, *, include_deleted: bool = False) -> ModelType | None:
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
        """The living row with these values, locked until the end of the transaction.

        What was read of it before is read anew.
        """
        statement = self._select().filter_by(**equal).with_for_update()
        statement = statement.execution_options(populate_existing=True)
        return (await self.session.scalars(statement)).one_or_none()

    # Hides the builtin in this class body: annotations here say Sequence.
    async def list(
        self, *, limit: int = 100, offset: int = 0, include_deleted: bool = False, **equal: Any
    ) -> Sequence[ModelType]:
        """Rows whose columns equal the given values, in order of creation."""
        statement = self._select(include_deleted=include_deleted).filter_by(**equal)
        statement = statement.order_by(self.model.id).limit(limit).offset(offset)
        return (await self.session.scalars(statement)).all()

    async def update(self, instance: ModelType, **values: Any) -> ModelType:
        """Set the given columns. Raises `AttributeError` for a name that is not one.

        Raises `ValidationFailedError` for a value that its column cannot hold.
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
        instance.soft_delete()
        await self.flush()

    async def restore(self, instance: ModelType) -> None:
        """Undo `soft_delete`.

        Raises `RestoreConflictError` when another row has what must be unique by now.
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
        """One page of `statement`, narrowed down by the request's filters.

        `columns` is the allow-list of what may be sorted by, `filters` has a condition for each
        field of the list's query. `public_id` breaks ties, so that no row is shown twice or left
        out; `columns` may name another column that has it. With `any_of`, rows for which one of
        these conditions holds: each is looked up in an order that its own index has, which no
        index has for an OR of them. A search is the other way round: its rows are found by their
        words, and then sorted.
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
        make: Callable[..., T],
        any_of: Sequence[ColumnElement[bool]] = (),
        shown: Select[Any] | None = None,
    ) -> Slice[T]:
        """`_paginate` of what selects columns, which are passed to `make` in their order.

        What `make` returns has to have the columns that are sorted by, and `public_id`. `shown`
        selects the same columns without what `statement` joins to find the rows by.
        """

        async def read(rows: Select[Any]) -> Sequence[T]:
            return [make(*row) for row in await self.session.execute(rows)]

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
            rows = found.page(reach=request.reach, size=request.size, offset=request.offset)
            page = await read(rows)
            total = await self.session.scalar(found.count())
            return Slice(page, total=total, next_key=beyond_numbers(page, request, found.order))
        # One row more than asked for says whether there is a next page.
        following = await read(found.first(request.size + 1))
        items = following[: request.size]
        more = len(following) > request.size
        return Slice(items, next_key=position_of(items[-1], found.order) if more else None)

    async def _walk(
        self,
        statement: Select[*tuple[Any, ...]],
        request: PageRequest,
        columns: SortColumns,
        filters: Filters = NO_FILTERS,
        *,
        any_of: Sequence[ColumnElement[bool]] = (),
    ) -> AsyncGenerator[Sequence[Row[Any]], None]:
        """Every row of `statement`, in batches of the request's size; as for `_paginate`.

        What `statement` selects has to have the columns of the order and `public_id`. The
        connection is given back before each batch is handed out.
        """
        while True:
            found = narrow(self.model, statement, request, columns, filters, any_of)
            rows = (await self.session.execute(found.first(request.size))).all()
            await self.release()
            if rows:
                yield rows
            if len(rows) < request.size:
                return
            request = replace(request, after=position_of(rows[-1], found.order))
