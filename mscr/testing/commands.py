"""The project's commands as separate processes with an explicit environment."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# Variables that a process needs to run at all; none of them configures the application.
INHERITED = ("PATH", "HOME", "LANG", "TMPDIR")


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    status: int
    output: str


def start(
    command: Sequence[str], environment: Mapping[str, str], *, cwd: Path | None = None
) -> subprocess.Popen[str]:
    """Start a command in this folder, or else in the current one: that of the project."""
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    if cwd is None:  # files of a copy are not part of the project's coverage
        inherited |= {k: v for k, v in os.environ.items() if k.startswith("COVERAGE_")}
    return subprocess.Popen(
        command,
        cwd=cwd,
        env={**inherited, "ENV_FILE": os.devnull, **environment},
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def finish(process: subprocess.Popen[str]) -> Ended:
    output, _ = process.communicate()
    return Ended(process.returncode, output)
