"""Control over the pooled connection, for services that do slow work between queries."""

from contextlib import AbstractContextManager

from sqlalchemy.ext.asyncio import AsyncSession

from mscr.db.session_info import COUNTS_FOR_REPLICA
from mscr.db.shared_connection import release_connection, shared_connection


class ConnectionMixin:
    """Adds to `BaseRepository`: share a connection, and return it to the pool early."""

    session: AsyncSession

    @property
    def counts_for_replica(self) -> bool:
        """Return whether the session's commits are counted: writes must not bypass it then."""
        return COUNTS_FOR_REPLICA in self.session.info

    def shared_connection(self) -> AbstractContextManager[None]:
        """Run consecutive `PreparedStatement`s on one pooled connection.

        Warning: await nothing else in the block, unless after `release()`. The connection would be
        idle meanwhile, and missing in the pool.
        """
        return shared_connection(self.session)

    async def release(self) -> None:
        """Return the connection to the pool before slow work.

        Warning: this closes the database session. It rolls back what is not committed, and
        detaches the objects that were loaded.
        """
        release_connection(self.session)
        await self.session.close()
