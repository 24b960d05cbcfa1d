"""Installed servers that operators put in front of the application and its database."""

import os
import shutil
from pathlib import Path
from typing import Final

import pytest

# Debian installs servers in sbin, which is not on every user's PATH.
SEARCH_PATH: Final = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin"])


def require(program: str) -> Path:
    """Return the path of a program, or skip the test with the command that installs it."""
    found = shutil.which(program, path=SEARCH_PATH)
    if found is None:
        pytest.skip(f"{program} not found: apt-get install {program}")
    return Path(found)
