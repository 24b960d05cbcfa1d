"""systemd accepts every line of deploy/backend.service."""

import subprocess
import sys
from pathlib import Path

from mscr.tests.deploy.programs import require
from mscr.tests.support.paths import REPOSITORY

UNIT = REPOSITORY / "deploy/backend.service"


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    analyze = require("systemd-analyze")
    programs = str(Path(sys.executable).parent)
    unit = tmp_path / UNIT.name
    # The unit's programs have to exist: those of this environment do.
    unit.write_text(UNIT.read_text().replace("/srv/backend/.venv/bin", programs))

    checked = subprocess.run(  # noqa: S603 - found on the PATH
        [str(analyze), "verify", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    complaints = [line for line in checked.stderr.splitlines() if UNIT.name in line]
    assert (checked.returncode, complaints) == (0, [])
