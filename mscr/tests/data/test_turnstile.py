"""The turnstile shares a limited number of places fairly among callers."""

import asyncio

import pytest

from mscr.db.turnstile import NOBODY, Turnstile


def entered(turnstile: Turnstile, *callers: str) -> str:
    """Return the callers that got in without waiting, in their order."""
    return "".join(caller for caller in callers if turnstile.try_enter(caller))


async def line_up(turnstile: Turnstile, callers: str, order: list[str]) -> list[asyncio.Task[None]]:
    """Make each caller wait for a turn and append itself to `order` when it enters."""

    async def wait(caller: str) -> None:
        await turnstile.wait(caller, seconds=5)
        order.append(caller)

    tasks = [asyncio.create_task(wait(caller)) for caller in callers]
    await asyncio.sleep(0)
    return tasks


async def leave(turnstile: Turnstile, callers: str) -> None:
    """Free the callers' places one after the other, and let the next waiter enter in between."""
    for caller in callers:
        turnstile.leave(caller)
        for _ in range(3):
            await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("places", "most"), [(1, 1), (2, 1), (3, 2), (4, 3), (5, 4), (10, 8), (100, 80)]
)
def test_one_caller_never_takes_every_place_if_there_are_several(places: int, most: int) -> None:
    turnstile = Turnstile(places)
    assert len(entered(turnstile, *"a" * places)) == most
    assert entered(turnstile, *"bcd") == "bcd"[: places - most]


def test_several_greedy_callers_leave_a_place_too() -> None:
    turnstile = Turnstile(10)
    assert entered(turnstile, *"ab" * 10) == "abababab"
    assert entered(turnstile, *"cd") == "cd"


def test_requests_without_a_caller_may_take_every_place() -> None:
    turnstile = Turnstile(3)
    assert [turnstile.try_enter(NOBODY) for _ in range(4)] == [True, True, True, False]


async def test_callers_take_turns_and_their_own_requests_come_in_order() -> None:
    turnstile, order = Turnstile(1), list[str]()
    entered(turnstile, "x")
    tasks = await line_up(turnstile, "aaabbc", order)

    await leave(turnstile, "xabcaba")

    assert "".join(order) == "abcaba"
    assert all(task.done() for task in tasks)
    assert entered(turnstile, *"ab") == "a"


async def test_a_caller_without_a_place_comes_before_one_with_a_place() -> None:
    turnstile, order = Turnstile(2), list[str]()
    entered(turnstile, *"ab")
    await line_up(turnstile, "ac", order)

    await leave(turnstile, "b")
    assert order == ["c"]
    await leave(turnstile, "a")
    assert order == ["c", "a"]


async def test_the_caller_with_the_fewest_places_comes_first() -> None:
    turnstile, order = Turnstile(5), list[str]()
    assert entered(turnstile, *"aaabab") == "aaab"
    await line_up(turnstile, "ab", order)

    await leave(turnstile, "a")
    assert order == ["b"]
    await leave(turnstile, "b")
    assert order == ["b", "a"]


async def test_a_caller_with_its_share_waits_until_enough_is_free() -> None:
    turnstile, order = Turnstile(4), list[str]()
    entered(turnstile, *"aaab")
    tasks = await line_up(turnstile, "a", order)

    await leave(turnstile, "b")
    assert not order
    await leave(turnstile, "a")

    assert order == ["a"]
    await asyncio.gather(*tasks)


async def test_a_place_of_a_cancelled_waiter_passes_to_the_next() -> None:
    turnstile, order = Turnstile(1), list[str]()
    entered(turnstile, "x")
    gone, late, also_gone, patient = await line_up(turnstile, "abac", order)
    gone.cancel()
    also_gone.cancel()
    turnstile.leave("x")
    # The place is already b's, whose task has not woken up yet. Both requests of a are cancelled.
    late.cancel()

    await patient
    assert order == ["c"]
    assert [task.cancelled() for task in (gone, late, also_gone)] == [True, True, True]
    turnstile.leave("c")
    assert entered(turnstile, *"ab") == "a"


async def test_a_wait_for_a_place_times_out_and_blocks_nobody() -> None:
    turnstile = Turnstile(1)
    entered(turnstile, "x")
    for caller in ("a", "a", NOBODY):
        with pytest.raises(TimeoutError):
            await turnstile.wait(caller, seconds=0.01)
    turnstile.leave("x")
    assert entered(turnstile, "b") == "b"


async def test_a_place_that_comes_with_the_deadline_is_taken(
    caplog: pytest.LogCaptureFixture,
) -> None:
    turnstile = Turnstile(1)
    entered(turnstile, "x")
    asyncio.get_running_loop().call_later(0, turnstile.leave, "x")
    await turnstile.wait("a", seconds=0)
    assert not entered(turnstile, "b")
    # The loop logs what its callbacks raise.
    assert not caplog.records


async def test_a_request_cancelled_at_its_deadline_gives_back_no_place() -> None:
    turnstile = Turnstile(1)
    entered(turnstile, "x")
    task = asyncio.create_task(turnstile.wait("a", seconds=0))
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_later(0, task.cancel)
    await asyncio.wait([task])

    turnstile.leave("x")
    assert entered(turnstile, *"ab") == "a"
