"""Keys of `AsyncSession.info`."""

from typing import Final

# Set if commits of the session are counted for the caller (mscr/db/replica.py). Writes must not
# bypass the session then: their commits would not be counted.
COUNTS_FOR_REPLICA: Final = "counts_for_replica"
# The connection that the session's prepared statements share, within `shared_connection`.
SHARED_CONNECTION: Final = "shared_connection"
# Set by every commit: the request must not be retried.
COMMITTED: Final = "committed"
