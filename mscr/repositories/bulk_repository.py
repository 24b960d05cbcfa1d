"""Write many rows in few statements (bulk), and read whole lists in batches (export)."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, Table, bindparam, insert, update
from sqlalchemy.exc import IntegrityError

from mscr.core.exceptions import ConflictError
from mscr.models.base import new_public_id, utcnow
from mscr.queries.column_bounds import require_fit
from mscr.queries.filters import NO_FILTERS, Filters
from mscr.queries.integrity import violates_uniqueness
from mscr.queries.keyset import position_of
from mscr.queries.pagination import PageRequest
from mscr.queries.paging import SortColumns, narrow
from mscr.repositories.base import ModelType
from mscr.repositories.child_rows import soft_delete_children
from mscr.repositories.owned_repository import OwnedRepository

T = TypeVar("T")
Values = Mapping[str, Any]


class BulkRepository(OwnedRepository[ModelType]):
    """Bulk operations on a model with `PublicIdMixin` and `VersionMixin`.

    A duplicate of a unique value refuses its own row only. Each method first writes all rows in
    one statement. If that violates a unique constraint, it writes them one by one, each in its own
    savepoint.
    """

    async def lock_each(self, public_ids: Sequence[UUID]) -> dict[UUID, ModelType]:
        """Lock the living rows with these ids until the end of the transaction; return them.

        Ids without a living row are missing in the result.
        """
        if not public_ids:
            return {}
        column = self._column("public_id")
        statement = self._shown().where(column.in_([str(each) for each in public_ids]))
        # Lock rows in a fixed order, so that two concurrent requests for the same rows cannot
        # deadlock: otherwise each could hold a row that the other waits for.
        statement = statement.order_by(self.model.id).with_for_update(of=self.model)
        # Refresh objects that were loaded before the lock: they may be out of date.
        statement = statement.execution_options(populate_existing=True)
        rows: Sequence[Any] = (await self.session.scalars(statement)).all()
        return {UUID(row.public_id): row for row in rows}

    async def create_each(self, rows: Sequence[Values]) -> list[ModelType | ConflictError]:
        """Insert rows. Return each new row, or its conflict, in the order given."""
        if not rows:
            return []
        self._require_fit(rows)
        named = [{"public_id": new_public_id(), **row} for row in rows]

        async def write(numbers: Sequence[int]) -> None:
            await self.session.execute(insert(self.model), [named[n] for n in numbers])

        conflicts = await self._each(len(rows), write)
        await self._require_owner(named[0].get("owner_id"))
        # Read all new rows back in one query, with the joins of a response (no N+1).
        ids = [row["public_id"] for row in named]
        found = await self.session.scalars(self._shown().where(self._column("public_id").in_(ids)))
        made: dict[str, Any] = {row.public_id: row for row in cast("Iterable[Any]", found)}
        return [conflicts[n] if n in conflicts else made[ids[n]] for n in range(len(rows))]

    async def update_each(
        self, changes: Sequence[tuple[ModelType, Values]]
    ) -> list[ModelType | ConflictError]:
        """Update the locked rows; skip rows that already have the new values.

        Return each row, or its conflict, in the order given.
        """
        self._require_fit([values for _, values in changes])
        different = [_different(instance, values) for instance, values in changes]
        # Indexes of the rows that change. `write` is passed indexes into this list.
        changed = [number for number, values in enumerate(different) if values]
        names = sorted({name for values in different for name in values})

        async def write(numbers: Sequence[int]) -> None:
            # Set the same columns in every row, so that one statement (executemany) does for all.
            # A row's unchanged columns get their present values: the lock keeps them up to date.
            parameters = []
            for at in (changed[number] for number in numbers):
                instance, _ = changes[at]
                values = {n: different[at].get(n, getattr(instance, n)) for n in names}
                parameters.append(
                    {"row_id": instance.id} | {f"new_{n}": v for n, v in values.items()}
                )
            await self.session.execute(self._update(names), parameters)

        conflicts = await self._each(len(changed), write)
        await self._read_again([changes[number][0] for number in changed])
        refused = {changed[number]: conflict for number, conflict in conflicts.items()}
        return [refused.get(n, instance) for n, (instance, _) in enumerate(changes)]

    async def soft_delete_each(self, instances: Sequence[ModelType]) -> None:
        """Soft-delete the locked rows and their children, with one statement a table."""
        if instances:
            now, ids = utcnow(), [each.id for each in instances]
            values = {"is_deleted": True, "deleted_at": now}
            table = self._table()
            statement = update(table).where(table.c.id.in_(ids))
            await self.session.execute(statement.values(values | self._next_version()))
            await soft_delete_children(self.session, self.model.__mapper__, ids, now)

    async def insert_all(self, rows: Sequence[Values]) -> None:
        """Insert all rows or, with an `IntegrityError`, none. Nothing is read back."""
        self._require_fit(rows)
        await self.session.execute(insert(self.model), [dict(row) for row in rows])
        await self._require_owner(rows[0].get("owner_id"))

    async def _walk(
        self,
        statement: Select[*tuple[Any, ...]],
        request: PageRequest,
        columns: SortColumns,
        filters: Filters = NO_FILTERS,
        *,
        any_of: Sequence[ColumnElement[bool]] = (),
    ) -> AsyncGenerator[Sequence[Row[Any]], None]:
        """Yield all rows of `statement`, in batches of the request's size (keyset paging).

        The parameters are those of `_paginate`. `statement` must select `public_id` and the sort
        columns. The connection goes back to the pool before each batch is yielded, so that a
        slow client does not hold it.
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

    def _require_fit(self, rows: Sequence[Values]) -> None:
        for number, row in enumerate(rows):
            require_fit(self.model, row, loc=("body", number))

    async def _read_again(self, instances: Sequence[ModelType]) -> None:
        """Refresh the objects, with all that a response shows of them, in one statement."""
        if instances:
            statement = self._shown().where(self.model.id.in_([each.id for each in instances]))
            statement = statement.execution_options(populate_existing=True)
            await self.session.scalars(statement)

    async def _each(
        self, count: int, write: Callable[[Sequence[int]], Awaitable[None]]
    ) -> dict[int, ConflictError]:
        """Write all rows at once or, if one is a duplicate, one by one.

        `write` is passed indexes of rows. Return the conflicts of the refused ones, by index.
        """
        numbers = list(range(count))
        if not numbers or await self._try(write, numbers):
            return {}
        return {n: ConflictError() for n in numbers if not await self._try(write, [n])}

    async def _try(
        self, write: Callable[[Sequence[int]], Awaitable[None]], numbers: Sequence[int]
    ) -> bool:
        """Write rows in a savepoint. Return False, and roll it back, if one is a duplicate."""
        try:
            async with self.savepoint():
                await write(numbers)
        except IntegrityError as error:
            if not violates_uniqueness(error):
                raise
            return False
        return True

    def _update(self, names: Sequence[str]) -> Any:
        table = self._table()
        new: dict[Any, Any] = {self._column(n).expression: bindparam(f"new_{n}") for n in names}
        return (
            update(table)
            .where(table.c.id == bindparam("row_id"))
            .values(new | self._next_version())
        )

    def _next_version(self) -> dict[str, Any]:
        return {"version": self._table().c.version + 1}

    def _table(self) -> Table:
        return cast("Table", self.model.__table__)

    def _column(self, name: str) -> Any:
        return self.model.__mapper__.attrs[name].class_attribute


def _different(instance: Any, values: Values) -> dict[str, Any]:
    return {name: value for name, value in values.items() if getattr(instance, name) != value}
