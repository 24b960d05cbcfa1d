"""Keys of what a session carries in its `info`."""

from typing import Final

# Set when its commits count for the caller: what is written past the session would be missed.
COUNTS_WRITES: Final = "counts_writes"
# What waits for its commit.
AFTER_COMMIT: Final = "after_commit"
# The connection that its prepared statements share, while they do.
SHARED_CONNECTION: Final = "shared_connection"
# Set by whatever commits: the request cannot be handled again.
COMMITTED: Final = "committed"
