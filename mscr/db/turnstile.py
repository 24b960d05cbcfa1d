"""Fair admission to a limited number of places: one queue for each caller."""

import asyncio
from typing import Final

# However many requests a caller has, it gets so many times what stays free, and no more.
MOST_TO_FREE: Final = 4
# The key of commands and of the application itself, which belong to no caller.
NOBODY: Final = ""

_Line = dict[asyncio.Future[None], None]


class Turnstile:
    """Lets in as many as there are places, and keeps each caller from taking all of them.

    A caller without a place gets one as long as there are any. Those who have some get more while
    that is at most `MOST_TO_FREE` times what then stays free: of ten places one caller alone gets
    eight, two get four each. So whoever comes next does not wait until others are done.

    Waiting callers without a place come first, then those with the fewest; equals take turns. The
    requests of one caller are first in, first out. `NOBODY`
    may take every place.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._held: dict[str, int] = {}
        # Callers in the order of their turns, each with its requests in theirs.
        self._waiting: dict[str, _Line] = {}

    def try_enter(self, caller: str) -> bool:
        """Enter, if it is possible at once; `leave` after it."""
        if not self._may_enter(caller):
            return False
        self._enter(caller)
        return True

    async def wait(self, caller: str, *, seconds: float) -> None:
        """Enter after waiting; `leave` after it. Raises `TimeoutError`."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(caller, {})[turn] = None
        try:
            async with asyncio.timeout(seconds):
                await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                # It came at the last moment.
                self.leave(caller)
            else:
                self._forget(caller, turn)
            raise

    def leave(self, caller: str) -> None:
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
        return self._free > 0 and (share == 0 or share < MOST_TO_FREE * (self._free - 1))

    def _enter(self, caller: str) -> None:
        self._free -= 1
        self._held[caller] = self._held.get(caller, 0) + 1

    def _next(self) -> str:
        # Behind the first without a place nobody is looked at: hundreds may wait, and of those
        # before there are no more than places.
        for caller in self._waiting:
            if not self._share(caller):
                return caller
        return min(self._waiting, key=self._share)

    def _let_in(self, caller: str) -> None:
        line = self._waiting.pop(caller)
        turn = next(iter(line))
        del line[turn]
        if line:
            # Behind the others.
            self._waiting[caller] = line
        # Cancelled, it has not woken up to forget itself.
        if not turn.done():
            self._enter(caller)
            turn.set_result(None)

    def _forget(self, caller: str, turn: asyncio.Future[None]) -> None:
        line = self._waiting.get(caller, {})
        line.pop(turn, None)
        if not line:
            self._waiting.pop(caller, None)
