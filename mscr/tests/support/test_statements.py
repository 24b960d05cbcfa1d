"""The counter of statements counts the statements that are sent to the database."""

import pytest
from fastapi import FastAPI
from sqlalchemy import text

from examples.catalogue.db.session import Database
from examples.catalogue.tests.api import Api
from mscr.testing.databases import on_sqlite
from mscr.testing.statements import StatementCounter


@on_sqlite
async def test_the_begin_of_a_transaction_is_not_counted(database: Database) -> None:
    with StatementCounter(database).counted() as statements:
        async with database.engine.begin() as connection:
            await connection.execute(text("SELECT 1"))

    assert statements == ["SELECT 1"]


async def test_the_search_for_jobs_is_not_counted(app: FastAPI, queries: StatementCounter) -> None:
    """It may begin at any time, in the middle of a request."""
    with queries.counted() as statements:
        await app.state.jobs.join()

    assert statements == []


async def test_a_statement_beyond_the_limit_fails_the_block(
    api: Api, queries: StatementCounter
) -> None:
    account = await api.register()

    with queries.at_most(1):
        await api.me(account.access_token)
    with pytest.raises(AssertionError, match="SELECT"), queries.at_most(0):
        await api.me(account.access_token)
