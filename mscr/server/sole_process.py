"""Detect other processes of the same parent, such as several workers of another server."""

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

# A supervisor that replaces its only worker starts the new one first.
PATIENCE_SECONDS: Final = 5.0
POLL_SECONDS: Final = 0.1

_held: dict[str, int] = {}


def claim(name: str, *, patience: float = PATIENCE_SECONDS) -> bool:
    """Lock `name` among the children of our parent, until this process ends.

    Return False if another child holds it. Raises `OSError` if locks are not available.
    """
    if name in _held:
        return True
    file = _open(name)
    deadline = time.monotonic() + patience
    while not _lock(file):
        if time.monotonic() >= deadline:
            os.close(file)
            return False
        time.sleep(POLL_SECONDS)
    _held[name] = file
    return True


def _open(name: str) -> int:
    if sys.platform == "win32":
        raise OSError("no locks of this kind on Windows")
    path = Path(tempfile.gettempdir()) / f"{name}-{os.getuid()}-{os.getppid()}.lock"
    # O_NOFOLLOW: not through a symbolic link of another user.
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)


def _lock(file: int) -> bool:
    import fcntl  # noqa: PLC0415 - not on Windows

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
