"""Create, change and delete many rows in one transaction, for the service of any resource."""

from collections.abc import Callable, Sequence
from typing import Any, Generic

from pydantic import BaseModel

from mscr.core.exceptions import APIError, ConflictError, NotFoundError
from mscr.repositories.base import ModelType
from mscr.repositories.bulk_repository import BulkRepository
from mscr.schemas.bulk_schemas import BulkRequest
from mscr.services.idempotency_service import IdempotencyService
from mscr.services.rows import BulkResult, ImportResult, RowLedger

MayWrite = Callable[[ModelType], bool]


class BulkService(Generic[ModelType]):
    """Process each row as a single request would, and record its result in the ledger.

    `may_write` returns whether the caller may change a row. A row that they may not change gets
    the same 404 as a missing one.
    """

    def __init__(
        self, repo: BulkRepository[ModelType], ledger: RowLedger, idempotency: IdempotencyService
    ) -> None:
        self.repo = repo
        self._ledger = ledger
        self._idempotency = idempotency

    async def create(self, request: BulkRequest[Any], **columns: Any) -> BulkResult:
        """Create the rows. `columns` are the same in all of them, such as the owner."""
        await self._idempotency.begin()
        rows = self._ledger.accept(request.rows)
        made = await self.repo.create_each([columns | row.model_dump() for row in rows.values()])
        for index, entity in zip(rows, made, strict=True):
            self._note(index, 201, entity)
        return await self._finish()

    async def update(self, request: BulkRequest[Any], may_write: MayWrite[ModelType]) -> BulkResult:
        await self._idempotency.begin()
        locked = await self._lock(request, may_write)
        changes = [
            (entity, row.model_dump(exclude_unset=True, exclude={"public_id", "if_match"}))
            for entity, row in locked.values()
        ]
        for index, entity in zip(locked, await self.repo.update_each(changes), strict=True):
            self._note(index, 200, entity)
        return await self._finish()

    async def delete(self, request: BulkRequest[Any], may_write: MayWrite[ModelType]) -> BulkResult:
        await self._idempotency.begin()
        locked = await self._lock(request, may_write)
        await self.repo.soft_delete_each([entity for entity, _ in locked.values()])
        for index, (entity, _) in locked.items():
            self._ledger.note(index, 204, entity, gone=True)
        return await self._finish()

    async def _lock(
        self, request: BulkRequest[Any], may_write: MayWrite[ModelType]
    ) -> dict[int, tuple[ModelType, Any]]:
        """Lock the objects that may be written; return each with its row, by position."""
        rows = self._ledger.accept_named(request.rows)
        found = await self.repo.lock_each([row.public_id for row in rows.values()])
        locked: dict[int, tuple[ModelType, Any]] = {}
        for index, row in rows.items():
            entity = found.get(row.public_id)
            try:
                if entity is None or not may_write(entity):
                    raise NotFoundError
                self._ledger.check(entity, row)
            except APIError as refusal:
                self._ledger.refuse(index, refusal)
            else:
                locked[index] = entity, row
        return locked

    def _note(self, index: int, status: int, outcome: ModelType | ConflictError) -> None:
        if isinstance(outcome, ConflictError):
            self._ledger.refuse(index, outcome)
        else:
            self._ledger.note(index, status, outcome)

    async def _finish(self) -> BulkResult:
        self._ledger.settle()
        result = self._ledger.result()
        await self._idempotency.complete(result)
        await self.repo.commit()
        return result


class ImportService(Generic[ModelType]):
    """Create the rows of a file in one transaction, all or none."""

    def __init__(
        self, repo: BulkRepository[ModelType], idempotency: IdempotencyService, *, dry_run: bool
    ) -> None:
        self.repo = repo
        self._idempotency = idempotency
        self._dry_run = dry_run

    async def create(self, rows: Sequence[BaseModel], **columns: Any) -> ImportResult:
        """Create the rows. `columns` are the same in all of them. A dry run is rolled back."""
        await self._idempotency.begin()
        await self.repo.insert_all([columns | row.model_dump() for row in rows])
        result = ImportResult(len(rows), self._dry_run)
        if self._dry_run:
            await self.repo.rollback()
            return result
        await self._idempotency.complete(result)
        await self.repo.commit()
        return result
