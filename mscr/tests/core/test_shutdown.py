"""The parts of an application are closed concurrently, in bounded time."""

import asyncio
from datetime import timedelta

from structlog.testing import capture_logs

from mscr.core.shutdown import close_all


async def test_a_part_that_hangs_or_fails_is_logged_and_blocks_no_other() -> None:
    closed: list[str] = []

    async def close() -> None:
        closed.append("good")

    async def fail() -> None:
        raise ConnectionResetError

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            closed.append("cut off")

    with capture_logs() as logs:
        await close_all(
            {"hanging": hang(), "failing": fail(), "good": close()},
            within=timedelta(milliseconds=20),
        )

    assert closed == ["good", "cut off"]
    assert {(entry["what"], entry["event"]) for entry in logs} == {
        ("hanging", "not_closed"),
        ("failing", "not_closed"),
    }
