"""A migration on PostgreSQL needs a second connection besides that of the lock."""

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest
from sqlalchemy import MetaData

from examples.catalogue.core.config import get_settings
from mscr.db.migration_environment import MigrationEnvironment
from mscr.db.migration_lock import MigrationLockError
from mscr.models.migrated_types import render_item

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection


class WaitingConnection:
    """A connection through a pooler that has no server connection left: the query never returns."""

    async def exec_driver_sql(self, _: str) -> Any:
        await asyncio.Event().wait()


async def test_a_pooler_with_a_single_connection_is_reported_without_a_wait() -> None:
    impatient = get_settings().model_copy(update={"DATABASE_CONNECT_TIMEOUT_SECONDS": 0.01})
    environment = MigrationEnvironment(MetaData(), lambda: impatient, render_item=render_item)
    waiting = cast("AsyncConnection", WaitingConnection())

    with pytest.raises(MigrationLockError, match="default_pool_size of 2 or more"):
        await environment._require_connection(waiting)
