"""Bounds what clients can write into the log."""

from dataclasses import dataclass
from datetime import timedelta
from time import monotonic


@dataclass(slots=True)
class _Window:
    ends_at: float
    left_out: int = 0


class LogBudget:
    """One line in each interval for each kind of event, of which there are few."""

    def __init__(self, interval: timedelta) -> None:
        self._interval = interval.total_seconds()
        self._windows: dict[str, _Window] = {}

    def take(self, kind: str) -> int | None:
        """Return how many lines were left out since the last one, or None to leave this one out."""
        now = monotonic()
        window = self._windows.get(kind)
        if window is not None and now < window.ends_at:
            window.left_out += 1
            return None
        self._windows[kind] = _Window(now + self._interval)
        return 0 if window is None else window.left_out
