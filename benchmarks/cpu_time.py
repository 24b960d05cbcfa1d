"""CPU time of a server's threads. On a busy machine it varies less than wall-clock time."""

from pathlib import Path
from typing import NamedTuple, Self

NANOSECOND = 1e-9


class CpuTime(NamedTuple):
    """Seconds of the event loop's thread, and of all others, which hash passwords."""

    loop: float
    others: float

    @classmethod
    def of(cls, process_id: int) -> Self | None:
        """Return the CPU time of a process with one worker, or None on systems other than Linux."""
        used = {}
        for thread in Path(f"/proc/{process_id}/task").glob("*"):
            try:
                nanoseconds = (thread / "schedstat").read_text().split()[0]
            except OSError:
                return None
            used[int(thread.name)] = int(nanoseconds) * NANOSECOND
        if process_id not in used:
            return None
        return cls(used[process_id], sum(used.values()) - used[process_id])

    @classmethod
    def between(cls, earlier: Self | None, later: Self | None) -> Self | None:
        if earlier is None or later is None:
            return None
        return cls(later.loop - earlier.loop, later.others - earlier.others)
