"""A bound on the log lines that clients can cause."""

from dataclasses import dataclass
from datetime import timedelta
from time import monotonic


@dataclass(slots=True)
class _Window:
    ends_at: float
    left_out: int = 0


class LogBudget:
    """Allows one line per interval for each kind of event. There are few kinds."""

    def __init__(self, interval: timedelta) -> None:
        self._interval = interval.total_seconds()
        self._windows: dict[str, _Window] = {}

    def take(self, kind: str) -> int | None:
        """Return how many lines were suppressed since the last, or None to suppress this one."""
        now = monotonic()
        window = self._windows.get(kind)
        if window is not None and now < window.ends_at:
            window.left_out += 1
            return None
        self._windows[kind] = _Window(now + self._interval)
        return 0 if window is None else window.left_out
