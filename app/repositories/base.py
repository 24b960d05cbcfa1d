"""What every repository can do. Subclasses add named queries and decide nothing."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, func, or_, select, union_all
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction

from app.core.exceptions import RestoreConflictError, UnauthorizedError
from app.core.pagination import PageRequest, Slice, SortKey
from app.models.base import Base
from app.models.ownership import is_owned
from app.models.user import User
from app.repositories.filters import NO_FILTERS, Filters, conditions
from app.repositories.integrity import violates_uniqueness
from app.repositories.keyset import (
    Ordering,
    SortColumn,
    beyond,
    is_implied,
    order_of,
    position_of,
)

ModelType = TypeVar("ModelType", bound=Base)
SortColumns = Mapping[str, SortColumn]

# The key of a session's `info`.
_AFTER_COMMIT: Final = "after_commit"


def take_calls(session: AsyncSession) -> Sequence[Callable[[], None]]:
    """What waits for the commit: of the session, whichever of its repositories was told."""
    calls: Sequence[Callable[[], None]] = session.info.pop(_AFTER_COMMIT, ())
    return calls


class BaseRepository(Generic[ModelType]):
    """Database operations on one model. It flushes; the service commits.

    Soft-deleted rows are invisible everywhere unless `include_deleted=True` asks for them.
    """

    def __init__(self, model: type[ModelType], session: AsyncSession) -> None:
        self.model = model
        self.session = session

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

    async def release(self) -> None:
        """Give the connection back before slow work; what was read is detached."""
        take_calls(self.session)
        await self.session.close()

    def after_commit(self, call: Callable[[], None]) -> None:
        """Have `call` called once what is done by now is committed, and never if it is undone."""
        self.session.info.setdefault(_AFTER_COMMIT, []).append(call)

    async def create(self, **kwargs: Any) -> ModelType:
        """Raises `UnauthorizedError` for an owner whose account was deleted meanwhile."""
        instance = await self._insert(**kwargs)
        await self._require_owner(getattr(instance, "owner_id", None))
        return instance

    async def _insert(self, **kwargs: Any) -> ModelType:
        instance = self.model(**kwargs)
        self.session.add(instance)
        await self.flush()
        return instance

    async def _require_owner(self, owner_id: int | None) -> None:
        """Call it after inserting rows of an owner: the foreign key has waited for a deletion.

        One that comes later waits for this transaction, and takes along what it wrote.
        """
        if is_owned(self.model):
            gone = select(User.is_deleted).where(User.id == owner_id)
            if await self.session.scalar(gone):
                raise UnauthorizedError

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
        """Set the given columns. Raises `AttributeError` for a name that is not one."""
        unknown = values.keys() - self.model.__mapper__.column_attrs.keys()
        if unknown:
            raise AttributeError(f"{self.model.__name__} has no column {sorted(unknown)}")
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
        return await self._count(statement)

    def _select(self, *, include_deleted: bool = False) -> Select[ModelType]:
        statement = select(self.model)
        return statement if include_deleted else statement.where(self.model.is_deleted.is_(False))

    async def _count(self, statement: Select[Any]) -> int:
        rows = statement.with_only_columns(self.model.id).order_by(None).subquery()
        return await self.session.scalar(select(func.count()).select_from(rows)) or 0

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
        found = self._narrow(statement, request, columns, filters, any_of)
        if request.page is not None:
            rows = found.first(request.offset + request.size)
            page = await self.session.scalars(rows.limit(request.size).offset(request.offset))
            return Slice(page.all(), total=await self._count(found.all_rows()))
        # One row more than asked for says whether there is a next page.
        following = (await self.session.scalars(found.first(request.size + 1))).all()
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
            found = self._narrow(statement, request, columns, filters, any_of)
            rows = (await self.session.execute(found.first(request.size))).all()
            await self.release()
            if rows:
                yield rows
            if len(rows) < request.size:
                return
            request = replace(request, after=position_of(rows[-1], found.order))

    def _narrow(
        self,
        statement: Select[*tuple[Any, ...]],
        request: PageRequest,
        columns: SortColumns,
        filters: Filters,
        any_of: Sequence[ColumnElement[bool]],
    ) -> "_Narrowed":
        order = self._order(request, columns)
        if any_of and request.searches:
            statement, any_of = statement.where(or_(*any_of)), ()
        narrowing = conditions(filters, request.filters)
        if request.after is not None:
            narrowing = [c for c in narrowing if not is_implied(c, order[0])]
            narrowing.append(beyond(order, request.after))
        return _Narrowed(self.model, statement, statement.where(*narrowing), order, any_of)

    def _order(self, request: PageRequest, columns: SortColumns) -> Sequence[Ordering]:
        keys = (*request.sort, SortKey("public_id", descending=request.sort[-1].descending))
        public_id = self.model.__mapper__.attrs["public_id"].class_attribute
        return order_of(keys, {"public_id": public_id, **columns}, by_index=not request.searches)


@dataclass(frozen=True, slots=True)
class _Narrowed:
    """The rows that a request is about: those of `narrowed`, loaded as `statement` says."""

    model: type[Base]
    statement: Select[Any]
    narrowed: Select[Any]
    order: Sequence[Ordering]
    any_of: Sequence[ColumnElement[bool]]

    def all_rows(self) -> Select[Any]:
        return self.narrowed.where(or_(*self.any_of)) if self.any_of else self.narrowed

    def first(self, count: int) -> Select[Any]:
        """The first rows in the order."""
        clauses = [part.clause() for part in self.order]
        if not self.any_of:
            return self.narrowed.order_by(*clauses).limit(count)
        ids = self.narrowed.with_only_columns(self.model.id).order_by(*clauses).limit(count)
        branches = [ids.where(condition).subquery() for condition in self.any_of]
        # A row that is in several of them is found once.
        found = union_all(*(select(branch.c.id) for branch in branches))
        return self.statement.where(self.model.id.in_(found)).order_by(*clauses).limit(count)
