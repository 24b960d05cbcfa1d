"""Writing many rows in few statements, however many rows there are."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar, cast
from uuid import UUID

from sqlalchemy import Select, Table, bindparam, insert, update
from sqlalchemy.exc import IntegrityError

from app.core.exceptions import ConflictError
from app.models.base import new_public_id, utcnow
from app.repositories.base import BaseRepository, ModelType
from app.repositories.column_bounds import require_fit
from app.repositories.integrity import violates_uniqueness

T = TypeVar("T")
Values = Mapping[str, Any]


class BulkRepository(BaseRepository[ModelType]):
    """A repository of a model with `PublicIdMixin` and `VersionMixin`.

    What must be unique is refused row by row: where it fails for all rows at once, each is tried in
    a savepoint of its own.
    """

    def _shown(self) -> Select[ModelType]:
        """Living rows with what a response shows of them. A subclass adds what it joins."""
        return self._select()

    async def lock_each(self, public_ids: Sequence[UUID]) -> dict[UUID, ModelType]:
        """The living rows of these ids, locked until the end of the transaction.

        In the order of their keys: of two requests, none waits for a row while the other waits for
        one of its own.
        """
        if not public_ids:
            return {}
        column = self._column("public_id")
        statement = self._shown().where(column.in_([str(each) for each in public_ids]))
        statement = statement.order_by(self.model.id).with_for_update(of=self.model)
        statement = statement.execution_options(populate_existing=True)
        rows: Sequence[Any] = (await self.session.scalars(statement)).all()
        return {UUID(row.public_id): row for row in rows}

    async def create_each(self, rows: Sequence[Values]) -> list[ModelType | ConflictError]:
        """The new rows, as they are shown, in the order given."""
        if not rows:
            return []
        self._require_fit(rows)
        named = [{"public_id": new_public_id(), **row} for row in rows]

        async def write(numbers: Sequence[int]) -> None:
            await self.session.execute(insert(self.model), [named[n] for n in numbers])

        conflicts = await self._each(len(rows), write)
        await self._require_owner(named[0].get("owner_id"))
        ids = [row["public_id"] for row in named]
        found = await self.session.scalars(self._shown().where(self._column("public_id").in_(ids)))
        made: dict[str, Any] = {row.public_id: row for row in cast("Iterable[Any]", found)}
        return [conflicts[n] if n in conflicts else made[ids[n]] for n in range(len(rows))]

    async def update_each(
        self, changes: Sequence[tuple[ModelType, Values]]
    ) -> list[ModelType | ConflictError]:
        """The rows, which must be locked, with their new values. What has them already stays."""
        self._require_fit([values for _, values in changes])
        different = [_different(instance, values) for instance, values in changes]
        changed = [number for number, values in enumerate(different) if values]
        names = sorted({name for values in different for name in values})

        async def write(numbers: Sequence[int]) -> None:
            # All of the columns in each row make one statement; nobody else changes them meanwhile.
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
        """The rows, which must be locked, in one statement."""
        if instances:
            values = {"is_deleted": True, "deleted_at": utcnow()}
            table = self._table()
            statement = update(table).where(table.c.id.in_([each.id for each in instances]))
            await self.session.execute(statement.values(values | self._next_version()))

    async def insert_all(self, rows: Sequence[Values]) -> None:
        """All of them or, with an `IntegrityError`, none. Nothing is read back."""
        self._require_fit(rows)
        await self.session.execute(insert(self.model), [dict(row) for row in rows])
        await self._require_owner(rows[0].get("owner_id"))

    def _require_fit(self, rows: Sequence[Values]) -> None:
        for number, row in enumerate(rows):
            require_fit(self.model, row, loc=("body", number))

    async def _read_again(self, instances: Sequence[ModelType]) -> None:
        """Bring them up to date, with all that is shown of them, in one statement."""
        if instances:
            statement = self._shown().where(self.model.id.in_([each.id for each in instances]))
            statement = statement.execution_options(populate_existing=True)
            await self.session.scalars(statement)

    async def _each(
        self, count: int, write: Callable[[Sequence[int]], Awaitable[None]]
    ) -> dict[int, ConflictError]:
        """Write the rows of these numbers at once, if that is possible; what was refused."""
        numbers = list(range(count))
        if not numbers or await self._try(write, numbers):
            return {}
        return {n: ConflictError() for n in numbers if not await self._try(write, [n])}

    async def _try(
        self, write: Callable[[Sequence[int]], Awaitable[None]], numbers: Sequence[int]
    ) -> bool:
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
