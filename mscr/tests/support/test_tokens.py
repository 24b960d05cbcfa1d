"""Refresh tokens in tests: concurrent callers can be held back on each database."""

from examples.catalogue.db.session import Database
from mscr.testing.databases import checked_out, on_sqlite
from mscr.testing.tokens import writers_waiting


@on_sqlite
async def test_writers_wait_for_the_end_of_the_block(database: Database) -> None:
    async with writers_waiting(database):
        assert checked_out(database) == 1

    assert checked_out(database) == 0
