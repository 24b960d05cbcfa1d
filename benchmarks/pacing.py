"""Requests at a fixed rate, however late the answers are."""

import asyncio
from typing import NamedTuple

from benchmarks.client import Connection


class Timed(NamedTuple):
    status: int
    seconds: float


async def send_paced(
    connection: Connection, request: bytes, *, per_second: int, seconds: float
) -> list[Timed]:
    """Each request's time runs from when it was due, not from when it could be sent.

    On one connection, those behind a late answer wait for it, as their senders would. Timing them
    from their sending would hide that wait (coordinated omission).
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
