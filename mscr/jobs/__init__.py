"""Work after a commit: an outbox in the database, and the runner that empties it."""
