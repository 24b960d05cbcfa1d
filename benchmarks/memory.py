"""The memory of a process, on systems that report it in /proc, such as Linux."""

from pathlib import Path
from typing import Final

MEGABYTE: Final = 1_000_000
# The value of /proc/PID/clear_refs that resets the peak.
RESET_PEAK: Final = "5"


def resident(process_id: int) -> int | None:
    """Return the present resident memory in bytes."""
    return _read(process_id, "VmRSS")


def peak(process_id: int) -> int | None:
    """Return the most resident memory since `reset_peak`, in bytes."""
    return _read(process_id, "VmHWM")


def reset_peak(process_id: int) -> None:
    reset = Path(f"/proc/{process_id}/clear_refs")
    if reset.exists():
        reset.write_text(RESET_PEAK)


def _read(process_id: int, name: str) -> int | None:
    status = Path(f"/proc/{process_id}/status")
    if not status.exists():
        return None
    [kilobytes] = [
        line.split()[1] for line in status.read_text().splitlines() if line.startswith(f"{name}:")
    ]
    return int(kilobytes) * 1024
