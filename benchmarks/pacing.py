"""Send requests at a fixed rate, however late the responses are."""

import asyncio
from typing import NamedTuple

from benchmarks.client import Connection


class Timed(NamedTuple):
    status: int
    seconds: float


async def send_paced(
    connection: Connection, request: bytes, *, per_second: int, seconds: float
) -> list[Timed]:
    """Send the requests. The time of each runs from when it was due, not from when it was sent.

    On one connection, requests behind a late response wait for it, as those of users would. Timing
    them from their sending would hide that wait (coordinated omission).
    """
    clock = asyncio.get_running_loop().time
    started = clock()
    answers = []
    for number in range(max(1, round(per_second * seconds))):
        due = started + number / per_second
        await asyncio.sleep(due - clock())
        answer = await connection.send(request)
        answers.append(Timed(answer.status, clock() - due))
    return answers
