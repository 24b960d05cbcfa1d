"""Engines and session factories: a pool for writing, and one for reading in autocommit."""

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session

from mscr.core.config import Settings
from mscr.core.single_flight import SingleFlight
from mscr.db.engine import create_engine
from mscr.db.replica_count import ReplicaCount
from mscr.db.schema_check import SchemaCheck, SchemaState, Undeclared
from mscr.db.session_info import COMMITTED
from mscr.models.tables import Tables

if TYPE_CHECKING:
    from mscr.db import stale_connections

# How long `close` waits for the server to end connections, by default.
CLOSING_TIME: Final = timedelta(seconds=2)


class NotedSession(Session):
    """A session that records its commits in `info`."""


@event.listens_for(NotedSession, "after_commit")
def _note_commit(session: Session) -> None:
    # SQLAlchemy also fires this event when a savepoint is released: that is no commit.
    if not session.in_nested_transaction():
        session.info[COMMITTED] = True


class Database:
    """The engines and session factories for the settings. It connects on first use.

    - `sessions` read and write, on the primary.
    - `read_sessions` read the primary in autocommit, without replication lag.
    - `replica_sessions` read the replica, which may lag; without one, the primary.
      `open_read_session` of `mscr/db/replica.py` chooses between the two for a caller.
    - `probe_sessions` serve health checks only: a pool of one connection, which no request can
      exhaust, with one `probe` at a time.
    """

    def __init__(
        self,
        settings: Settings,
        tables: Tables,
        *,
        search_columns: Undeclared,
    ) -> None:
        self.tables = tables
        replica = settings.DATABASE_REPLICA_URL
        self.engine = create_engine(settings, settings.database_url, read_only=False)
        self.read_engine = create_engine(settings, settings.database_url, read_only=True)
        self.replica_engine = self.read_engine
        self.has_replica = replica is not None
        self.replica_rests_until = 0.0
        self.replica_count = ReplicaCount(tables)
        if replica is not None:
            replica_url = make_url(replica)
            self.replica_engine = create_engine(settings, replica_url, read_only=True)
        self.probe: SingleFlight[SchemaState] = SingleFlight()
        self.schema = SchemaCheck(tables.metadata, search_columns)
        self.probe_engine = create_engine(
            settings, settings.database_url, read_only=True, pool_size=1
        )
        self._guard: stale_connections.ConnectionGuard | None = None
        if not settings.is_sqlite:
            # Imported late: it loads asyncpg, which SQLite does not need.
            from mscr.db.stale_connections import ConnectionGuard  # noqa: PLC0415

            self._guard = ConnectionGuard(
                *self._engines,
                check_after=timedelta(seconds=settings.DATABASE_IDLE_CHECK_SECONDS),
                max_age=timedelta(seconds=settings.DATABASE_POOL_RECYCLE_SECONDS),
                keepalive=timedelta(seconds=settings.TCP_KEEPALIVE_SECONDS),
            )
        self.sessions = async_sessionmaker(
            self.engine, sync_session_class=NotedSession, expire_on_commit=False
        )
        self.read_sessions = async_sessionmaker(self.read_engine, expire_on_commit=False)
        self.replica_sessions = async_sessionmaker(self.replica_engine, expire_on_commit=False)
        self.probe_sessions = async_sessionmaker(self.probe_engine, expire_on_commit=False)

    @property
    def _engines(self) -> list[AsyncEngine]:
        # Each engine once: without a replica, `replica_engine` is `read_engine`.
        engines = (self.engine, self.read_engine, self.replica_engine, self.probe_engine)
        return list(dict.fromkeys(engines))

    async def close(self, *, within: timedelta = CLOSING_TIME) -> None:
        """Close all connections. After `within`, cut them off without waiting for the server."""
        await self.probe.close()
        if self._guard is not None:
            await self._guard.close(within=within)
        for engine in self._engines:
            await engine.dispose()


async def end_session(session: AsyncSession) -> None:
    """Close the session only if a transaction is open: closing an idle session costs a task.

    A session is idle if its request committed as its last step, or ran prepared statements only,
    which bypass it.
    """
    if session.in_transaction():
        # __aexit__ is shielded from cancellation. A cancelled request would interrupt close().
        await session.__aexit__(None, None, None)
