"""One pooled connection for several prepared statements of a session."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.pool import PoolProxiedConnection

from mscr.db.session_info import SHARED_CONNECTION


class SharedConnection:
    """Holds the pooled connection between two statements."""

    def __init__(self) -> None:
        self._pooled: PoolProxiedConnection | None = None

    def take(self) -> PoolProxiedConnection | None:
        """Return the connection, or None if there is none or it is closed."""
        pooled, self._pooled = self._pooled, None
        driver: Any = pooled and pooled.driver_connection
        # The driver's own state: no round trip.
        if pooled is not None and driver.is_closed():
            pooled.invalidate()
            return None
        return pooled

    def keep(self, pooled: PoolProxiedConnection) -> None:
        self._pooled = pooled


@contextmanager
def shared_connection(session: AsyncSession) -> Iterator[None]:
    """Run the session's prepared statements on one connection: a checkout for each costs time.

    Warning: await nothing else in the block until `release_connection` has returned the connection.
    Requests that hold a connection while they wait for a second one can deadlock the pool.
    Each statement is still committed at once.
    """
    if SHARED_CONNECTION in session.info:
        yield
        return
    session.info[SHARED_CONNECTION] = SharedConnection()
    try:
        yield
    finally:
        release_connection(session)
        del session.info[SHARED_CONNECTION]


def release_connection(session: AsyncSession) -> None:
    """Return the session's shared connection to the pool, if it holds one."""
    shared: SharedConnection | None = session.info.get(SHARED_CONNECTION)
    if shared is not None and (pooled := shared.take()) is not None:
        pooled.close()
