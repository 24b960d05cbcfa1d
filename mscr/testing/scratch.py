"""Temporary directories that are removed even if the tests are killed, and their user."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108 - only mkdtemp writes here

# By default, a container's /dev/shm has 64 MB: too small for databases.
MINIMUM_MEMORY_BYTES = 1024**3

# The path of a unix socket must fit into 104 bytes on macOS, 108 on Linux; we add up to 40.
MAXIMUM_PARENT_LENGTH = 60

# A shell that outlives the tests for a moment. Its input closes however they end, also on SIGKILL,
# when neither `finally` nor `atexit` runs. Each line it reads names the process to stop then; an
# empty line means none. Only the end of the whole container leaves something behind.
KEEPER = """
while read -r line; do pid=$line; done
if [ -n "$pid" ] && kill -INT "$pid"; then
    tries=0
    while kill -0 "$pid" && [ $((tries += 1)) -le 50 ]; do sleep 0.1; done
    kill -KILL "$pid"
fi
rm -rf -- "$1"
"""


@dataclass(frozen=True)
class Account:
    """The user that a program runs as; by default the current one."""

    user: int | None = None
    group: int | None = None
    extra_groups: tuple[int, ...] | None = None

    def __str__(self) -> str:
        return "the user we are" if self.user is None else f"user {self.user}"

    def popen(
        self, command: list[str], *, cwd: Path, log: int = subprocess.DEVNULL
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            cwd=cwd,
            # Otherwise initdb compares the system's time zone with every one it knows.
            env=os.environ | {"TZ": "UTC"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # Ctrl-C in the terminal must reach only the tests, which then stop the program cleanly.
            start_new_session=True,
            user=self.user,
            group=self.group,
            extra_groups=self.extra_groups,
        )

    def may(self, access: str, path: Path) -> bool:
        """Return whether this user has access. Runs `test` as the user: every parent counts too."""
        return self.popen(["test", access, str(path)], cwd=Path("/")).wait() == 0

    def take(self, path: Path) -> None:
        """Make this user the owner of a path and of everything below it."""
        if self.user is not None and self.group is not None:
            for each in (path, *path.rglob("*")):
                os.chown(each, self.user, self.group)


class ScratchDirectory:
    """A new directory for an account, in memory if there is enough of it."""

    def __init__(self, name: str, account: Account, *, executable: bool = False) -> None:
        parent = _parent_for(account, executable=executable)
        self.path = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=parent))
        self._keeper = subprocess.Popen(
            ["/bin/sh", "-c", KEEPER, "keeper", str(self.path)],
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        account.take(self.path)

    def guard(self, process_id: int | None) -> None:
        """Name the process to stop if the tests are killed; None means there is none any more."""
        line = f"{process_id or ''}\n"
        assert self._keeper.stdin is not None  # it is a pipe
        self._keeper.stdin.write(line.encode())
        self._keeper.stdin.flush()

    def remove(self) -> None:
        """Stop the guarded process and remove the directory."""
        self._keeper.communicate()


def _parent_for(account: Account, *, executable: bool) -> Path:
    candidates = [Path(tempfile.gettempdir()), Path("/tmp")]  # noqa: S108 - as above
    if _has_memory(executable=executable):
        candidates.insert(0, MEMORY)
    for parent in candidates:
        if len(str(parent)) <= MAXIMUM_PARENT_LENGTH and account.may("-w", parent):
            return parent
    raise PermissionError(f"no temporary directory is open to {account}: {candidates}")


def _has_memory(*, executable: bool) -> bool:
    if sys.platform != "linux" or not MEMORY.is_dir():
        return False
    # Containers often mount it with noexec.
    is_fit = not executable or not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC
    return is_fit and shutil.disk_usage(MEMORY).free >= MINIMUM_MEMORY_BYTES
