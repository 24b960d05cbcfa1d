"""Fairness of the connection pool: the order in which callers get scarce connections."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from time import monotonic
from typing import Any

import pytest
from sqlalchemy import NullPool, event
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.util.concurrency import in_greenlet

from examples.catalogue.db.session import Database
from mscr.db.caller import YOUTH, Caller, calling, current_caller, name_caller
from mscr.db.fair_pool import take_connection
from mscr.testing.databases import checked_out, on_postgresql

one_connection = pytest.mark.settings(DATABASE_POOL_SIZE=1, DATABASE_POOL_TIMEOUT_SECONDS=5)
impatient = pytest.mark.settings(DATABASE_POOL_SIZE=1, DATABASE_POOL_TIMEOUT_SECONDS=0.1)


async def take(database: Database) -> AsyncConnection:
    return await database.engine.connect()


async def waiting(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Start a task and run it until it waits."""
    task = asyncio.create_task(work)
    await asyncio.sleep(0)
    return task


@one_connection
async def test_a_caller_that_returns_a_connection_queues_behind_those_that_wait(
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
async def test_a_cancelled_waiter_gets_no_connection_and_blocks_nobody(database: Database) -> None:
    held = await take(database)
    gone, gone_when_it_came, patient = [await waiting(take(database)) for _ in range(3)]
    gone.cancel()
    await asyncio.wait([gone])
    await held.close()
    # The connection is assigned to this task, which has not woken up yet.
    gone_when_it_came.cancel()

    await (await patient).close()
    assert gone_when_it_came.cancelled()
    assert checked_out(database) == 0


@impatient
async def test_a_wait_for_a_connection_ends_with_a_pool_timeout(database: Database) -> None:
    held = await take(database)
    with pytest.raises(PoolTimeoutError):
        _ = await take(database)

    await held.close()
    await (await take(database)).close()
    assert checked_out(database) == 0


def one_of(key: str) -> Caller:
    return Caller(key, require_present=lambda: None)


async def take_for(key: str, database: Database) -> AsyncConnection:
    with calling(one_of(key)):
        return await database.read_engine.connect()


@pytest.mark.settings(DATABASE_POOL_SIZE=10, DATABASE_POOL_TIMEOUT_SECONDS=0.1)
async def test_one_caller_with_thirty_requests_leaves_connections_to_others(
    database: Database,
) -> None:
    greedy = [asyncio.create_task(take_for("greedy", database)) for _ in range(30)]
    # Each request has either a connection or a pool timeout.
    await asyncio.wait(greedy)
    refused = [task for task in greedy if task.exception()]
    others = [await take_for(name, database) for name in ("b", "c")]

    assert len(greedy) - len(refused) == 8
    for connection in [*others, *(task.result() for task in greedy if task not in refused)]:
        await connection.close()
    assert checked_out(database) == 0


@pytest.mark.settings(DATABASE_POOL_SIZE=2, DATABASE_POOL_TIMEOUT_SECONDS=0.1)
async def test_a_failed_connection_attempt_takes_no_place_in_the_pool(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise ConnectionRefusedError

    with monkeypatch.context() as patched:
        patched.setattr(database.engine.sync_engine.pool, "_create_connection", fail)
        for _ in range(5):
            with pytest.raises(ConnectionRefusedError):
                _ = await take(database)
    held = [await take(database) for _ in range(2)]

    for connection in held:
        await connection.close()
    assert checked_out(database) == 0


@on_postgresql
async def test_only_opening_a_connection_takes_a_greenlet(database: Database) -> None:
    in_greenlets: list[bool] = []
    event.listen(
        database.engine.sync_engine, "checkout", lambda *_: in_greenlets.append(in_greenlet())
    )
    for _ in range(3):
        (await take_connection(database.engine)).close()

    assert in_greenlets == [True, False, False]


@on_postgresql
@one_connection
async def test_requests_of_both_kinds_wait_in_one_queue(database: Database) -> None:
    order: list[str] = []

    async def take_bare(name: str) -> None:
        pooled = await take_connection(database.engine)
        order.append(name)
        pooled.close()

    async def connect(name: str) -> None:
        async with database.engine.connect():
            order.append(name)

    held = await take_connection(database.engine)
    tasks = [
        await waiting(take_bare("1")),
        await waiting(connect("2")),
        await waiting(take_bare("3")),
    ]
    held.close()
    await asyncio.gather(*tasks)

    assert order == ["1", "2", "3"]
    assert checked_out(database) == 0


@on_postgresql
@one_connection
async def test_a_cancelled_request_takes_no_bare_connection(database: Database) -> None:
    held = await take_connection(database.engine)
    gone, gone_when_it_came = [await waiting(take_connection(database.engine)) for _ in range(2)]
    gone.cancel()
    await asyncio.wait([gone])
    held.close()
    gone_when_it_came.cancel()
    await asyncio.wait([gone_when_it_came])

    (await take_connection(database.engine)).close()
    assert checked_out(database) == 0


@on_postgresql
@impatient
async def test_a_wait_for_a_bare_connection_ends_with_a_pool_timeout(database: Database) -> None:
    held = await take_connection(database.engine)
    with pytest.raises(PoolTimeoutError):
        _ = await take_connection(database.engine)

    held.close()
    (await take_connection(database.engine)).close()
    assert checked_out(database) == 0


@on_postgresql
@pytest.mark.parametrize("by_another", [True, False])
async def test_an_invalidated_connection_is_opened_anew(
    database: Database, *, by_another: bool
) -> None:
    broken, pooled = [await take_connection(database.engine) for _ in range(2)]
    old = pooled.driver_connection
    if by_another:
        # As SQLAlchemy does after the error of a broken connection.
        database.engine.sync_engine.pool._invalidate(broken)
    else:
        pooled.invalidate(soft=True)
        broken.close()
    pooled.close()
    renewed = await take_connection(database.engine)

    assert renewed.driver_connection is not old
    renewed.close()
    assert checked_out(database) == 0


async def test_a_client_that_is_gone_gets_no_bare_connection(database: Database) -> None:
    (await take_connection(database.read_engine)).close()
    with calling(caller_without_client(age=2 * YOUTH)), pytest.raises(ConnectionAbortedError):
        _ = await take_connection(database.read_engine)

    assert checked_out(database) == 0


@on_postgresql
async def test_an_engine_with_another_pool_can_be_used(database_url: str) -> None:
    engine = create_async_engine(database_url, poolclass=NullPool)
    pooled = await take_connection(engine)

    assert pooled.is_valid
    pooled.close()
    await engine.dispose()


def caller_without_client(*, age: timedelta) -> Caller:
    def refuse() -> None:
        raise ConnectionAbortedError

    since = monotonic() - age.total_seconds()
    return Caller("anybody", require_present=refuse, since=since)


def test_a_request_that_began_to_write_may_read_after_its_client_is_gone() -> None:
    caller = caller_without_client(age=2 * YOUTH)
    with pytest.raises(ConnectionAbortedError):
        caller.read()
    caller.write()
    caller.read()


def test_the_client_of_a_young_request_is_not_checked() -> None:
    caller_without_client(age=timedelta()).read()


def test_the_client_of_an_old_request_is_checked_each_time() -> None:
    caller = caller_without_client(age=2 * YOUTH)
    # Still gone when the session checks again after a failed statement.
    for _ in range(2):
        with pytest.raises(ConnectionAbortedError):
            caller.read()


def test_a_caller_is_named_only_within_its_request() -> None:
    caller = one_of("an address")
    with calling(caller):
        name_caller("a user")
    name_caller("nobody")
    assert (caller.key, current_caller()) == ("a user", None)
