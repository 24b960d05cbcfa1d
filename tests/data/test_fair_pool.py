"""Who gets a connection when there are too few."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.session import Database
from tests.support.databases import checked_out

one_connection = pytest.mark.settings(DATABASE_POOL_SIZE=1, DATABASE_POOL_TIMEOUT_SECONDS=5)
impatient = pytest.mark.settings(DATABASE_POOL_SIZE=1, DATABASE_POOL_TIMEOUT_SECONDS=0.1)


async def take(database: Database) -> AsyncConnection:
    return await database.engine.connect()


async def waiting(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Somebody who has come so far as to wait."""
    task = asyncio.create_task(work)
    await asyncio.sleep(0)
    return task


@one_connection
async def test_who_waits_is_not_overtaken_by_who_gives_back_and_comes_again(
    database: Database,
) -> None:
    order: list[str] = []

    async def take_as(name: str, held: AsyncConnection | None = None) -> None:
        if held is not None:
            await held.close()
        async with database.engine.connect():
            order.append(name)

    held = await take(database)
    first, second = [await waiting(take_as(name)) for name in ("first", "second")]
    await asyncio.gather(take_as("again", held), first, second)

    assert order == ["first", "second", "again"]


@one_connection
async def test_who_is_gone_gets_nothing_and_keeps_nobody_waiting(database: Database) -> None:
    held = await take(database)
    gone, gone_when_it_came, patient = [await waiting(take(database)) for _ in range(3)]
    gone.cancel()
    await asyncio.wait([gone])
    await held.close()
    # It is theirs, and they have not woken up yet.
    gone_when_it_came.cancel()

    await (await patient).close()
    assert gone_when_it_came.cancelled()
    assert checked_out(database) == 0


@impatient
async def test_who_has_waited_long_enough_is_told_so(database: Database) -> None:
    held = await take(database)
    with pytest.raises(PoolTimeoutError):
        _ = await take(database)

    await held.close()
    await (await take(database)).close()
    assert checked_out(database) == 0
