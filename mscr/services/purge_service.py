"""Hard-delete rows that were soft-deleted long ago."""

from collections.abc import Callable, Sequence
from datetime import datetime

from mscr.models.audit_event import AuditAction
from mscr.repositories.deleted_row_repository import DeletedRowRepository
from mscr.services.audit_event_service import NOBODY, AuditTrail


class PurgeService:
    """Purge tables. It can be interrupted at any moment, repeated and run concurrently."""

    def __init__(self, repos: Sequence[DeletedRowRepository], audit: AuditTrail) -> None:
        """`repos` are in the order in which their tables are purged."""
        self.repos = repos
        self._audit = audit
        self._is_recorded = False

    async def purge(
        self, *, before: datetime, batch: int, on_batch: Callable[[int], None]
    ) -> dict[str, int]:
        """Purge rows deleted before this time, and commit each `batch`. Return counts by table."""
        counts = {
            repo.table.name: await self._purge(repo, before, batch, on_batch) for repo in self.repos
        }
        return {table: count for table, count in counts.items() if count}

    async def _purge(
        self,
        repo: DeletedRowRepository,
        before: datetime,
        batch: int,
        on_batch: Callable[[int], None],
    ) -> int:
        count = last_id = 0
        while ids := await repo.purge(before=before, after_id=last_id, batch=batch):
            await self._record()
            await repo.commit()
            last_id = max(ids)
            count += len(ids)
            on_batch(len(ids))
        return count

    async def _record(self) -> None:
        """Audit the purge once per run, in the transaction of the first purged rows."""
        if not self._is_recorded:
            await self._audit.record(AuditAction.PURGE_DELETED, NOBODY)
            self._is_recorded = True
