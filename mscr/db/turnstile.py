"""Fair admission to a limited number of places: one queue for each caller."""

import asyncio
from typing import Final

# A caller holds at most this many times the number of places that stay free.
MOST_TO_FREE: Final = 4
# The key of commands and of the application's own tasks, which have no caller.
NOBODY: Final = ""

_Line = dict[asyncio.Future[None], None]


class Turnstile:
    """Admits as many requests as there are places, and never all of them for one caller.

    A caller without a place gets one while any is free. A caller with places gets another one if it
    then holds at most `MOST_TO_FREE` times the places that stay free: of ten places, one caller
    alone gets eight, two get four each. The next caller therefore need not wait until others are
    done.

    Waiting callers without a place come first, then the one with the fewest; equals take turns.
    The requests of one caller are first in, first out. `NOBODY` may take every place.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._held: dict[str, int] = {}
        # Callers in the order of their turns, each with its requests in the order of arrival.
        self._waiting: dict[str, _Line] = {}

    def try_enter(self, caller: str) -> bool:
        """Take a place if that is possible at once. Call `leave` afterwards."""
        if not self._may_enter(caller):
            return False
        self._enter(caller)
        return True

    async def wait(self, caller: str, *, seconds: float) -> None:
        """Wait for a place and take it. Raise `TimeoutError`. Call `leave` afterwards."""
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.setdefault(caller, {})[turn] = None
        # Costs a third of `asyncio.timeout`, and under load every request waits.
        deadline = loop.call_later(seconds, _end, turn)
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                # A place was given at the moment of the cancellation: pass it on.
                self.leave(caller)
            else:
                self._forget(caller, turn)
            raise
        finally:
            deadline.cancel()

    def leave(self, caller: str) -> None:
        """Free a place, and admit the next waiting requests."""
        self._free += 1
        self._held[caller] -= 1
        if not self._held[caller]:
            del self._held[caller]
        while self._waiting and self._free and self._may_enter(following := self._next()):
            self._let_in(following)

    def _share(self, caller: str) -> int:
        return 0 if caller == NOBODY else self._held.get(caller, 0)

    def _may_enter(self, caller: str) -> bool:
        share = self._share(caller)
        # After another request of this caller, one place less stays free.
        return self._free > 0 and (share == 0 or share < MOST_TO_FREE * (self._free - 1))

    def _enter(self, caller: str) -> None:
        self._free -= 1
        self._held[caller] = self._held.get(caller, 0) + 1

    def _next(self) -> str:
        # Stop at the first caller without a place: hundreds may wait, and the callers before it
        # all hold a place, so they are no more than there are places.
        for caller in self._waiting:
            if not self._share(caller):
                return caller
        return min(self._waiting, key=self._share)

    def _let_in(self, caller: str) -> None:
        line = self._waiting.pop(caller)
        turn = next(iter(line))
        del line[turn]
        if line:
            # The caller's next request goes to the end of the turns.
            self._waiting[caller] = line
        # A cancelled request is skipped: its task has not run yet to remove it.
        if not turn.done():
            self._enter(caller)
            turn.set_result(None)

    def _forget(self, caller: str, turn: asyncio.Future[None]) -> None:
        line = self._waiting.get(caller, {})
        line.pop(turn, None)
        if not line:
            self._waiting.pop(caller, None)


def _end(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_exception(TimeoutError())
