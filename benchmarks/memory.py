"""The memory of a process, where the system, as Linux does, tells of it."""

from pathlib import Path
from typing import Final

MEGABYTE: Final = 1_000_000
# What Linux is told to forget the highest value by.
RESET_PEAK: Final = "5"


def resident(process_id: int) -> int | None:
    """In bytes, now."""
    return _read(process_id, "VmRSS")


def peak(process_id: int) -> int | None:
    """In bytes, the most since `reset_peak`."""
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
