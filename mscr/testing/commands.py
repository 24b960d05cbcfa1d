"""The project's commands as processes of their own, with an environment that is said in full."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.core.config import PROJECT_ROOT

ALEMBIC = str(Path(sys.executable).with_name("alembic"))
# What a process needs to run at all; nothing that decides how the application behaves.
INHERITED = ("PATH", "HOME", "LANG", "TMPDIR")


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    status: int
    output: str


def start(
    command: Sequence[str], environment: Mapping[str, str], *, cwd: Path = PROJECT_ROOT
) -> subprocess.Popen[str]:
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    if cwd == PROJECT_ROOT:  # a copy's files are not the project's to count
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
