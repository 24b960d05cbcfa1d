"""Concurrent callers share one call."""

import asyncio
from datetime import timedelta

import pytest

from mscr.core.single_flight import SingleFlight

SOON = timedelta(milliseconds=20)
LATER = timedelta(seconds=20)


class Work:
    """A call that counts itself and lasts until `may_end` is set."""

    def __init__(self) -> None:
        self.calls = 0
        self.may_end = asyncio.Event()

    async def __call__(self) -> int:
        self.calls += 1
        await self.may_end.wait()
        return self.calls

    async def cleaning_up(self) -> int:
        """Ignore the cancellation until `may_end` is set, as a slow clean-up would."""
        self.calls += 1
        try:
            await asyncio.Event().wait()
        finally:
            await self.may_end.wait()
        return self.calls


async def test_concurrent_callers_share_a_call_and_later_ones_start_another() -> None:
    flight, work = SingleFlight[int](), Work()
    callers = [asyncio.create_task(flight.run(work, within=LATER)) for _ in range(3)]
    await asyncio.sleep(0)
    work.may_end.set()

    assert await asyncio.gather(*callers) == [1, 1, 1]
    assert await flight.run(work, within=LATER) == 2


async def test_a_caller_after_a_timed_out_call_starts_a_call_of_its_own() -> None:
    flight, work = SingleFlight[int](), Work()
    with pytest.raises(TimeoutError):
        await flight.run(work.cleaning_up, within=SOON)
    behind = asyncio.create_task(flight.run(work, within=LATER))
    await asyncio.sleep(0)
    work.may_end.set()

    assert await behind == 2


async def test_closing_ends_the_call() -> None:
    flight, work = SingleFlight[int](), Work()
    caller = asyncio.create_task(flight.run(work, within=LATER))
    await asyncio.sleep(0)
    await flight.close()

    with pytest.raises(asyncio.CancelledError):
        await caller
