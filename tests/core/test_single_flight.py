"""Concurrent callers share one call."""

import asyncio
from datetime import timedelta

import pytest

from app.core.single_flight import SingleFlight

SOON = timedelta(milliseconds=20)
LATER = timedelta(seconds=20)


class Work:
    """Counts its calls, each of which lasts until `may_end`."""

    def __init__(self) -> None:
        self.calls = 0
        self.may_end = asyncio.Event()

    async def __call__(self) -> int:
        self.calls += 1
        await self.may_end.wait()
        return self.calls

    async def cleaning_up(self) -> int:
        """Take as long to end after it was cancelled."""
        self.calls += 1
        try:
            await asyncio.Event().wait()
        finally:
            await self.may_end.wait()
        return self.calls


async def test_callers_share_the_call_that_runs_and_later_ones_get_another() -> None:
    flight, work = SingleFlight[int](), Work()
    callers = [asyncio.create_task(flight.run(work, within=LATER)) for _ in range(3)]
    await asyncio.sleep(0)
    work.may_end.set()

    assert await asyncio.gather(*callers) == [1, 1, 1]
    assert await flight.run(work, within=LATER) == 2


async def test_a_caller_behind_a_late_call_gets_one_of_its_own() -> None:
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
