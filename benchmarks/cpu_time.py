"""The processor time of a server's threads: on a machine with other work, steadier than a clock."""

from pathlib import Path
from typing import NamedTuple, Self

NANOSECOND = 1e-9


class CpuTime(NamedTuple):
    """In seconds: of the event loop's thread, and of the others, which hash passwords."""

    loop: float
    others: float

    @classmethod
    def of(cls, process_id: int) -> Self | None:
        """What a process with one worker has used; None where the system, unlike Linux, is mute."""
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
