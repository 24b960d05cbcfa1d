"""Check that the kit and the examples do not depend on the application.

Imports every module of `mscr/` and of the examples, and checks their types, in a folder that
contains nothing else. In the project's folder, both would find the application by accident. Only
`mscr.testing` and the tests of examples may import the packages that tests need: production does
not install them.
"""

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from mscr.checks.houses import KIT
from mscr.project import Project

# The configuration of mypy.
CONFIGURATION: Final = "pyproject.toml"
# Persistent, so that mypy checks only modules that changed since the last run.
CACHE: Final = ".mypy_cache/kit_alone"
# The modules that may import the packages that tests need, and these packages.
TESTING: Final = (f"{KIT}.testing", ".tests")
OF_TESTS: Final = ("aiosmtpd", "coverage", "hypothesis", "httpx2", "pytest", "schemathesis")
IMPORT_ALL: Final = f"""
import importlib, pkgutil, sys
packages = [importlib.import_module(name) for name in sys.argv[1:]]
names = [
    module.name
    for package in packages
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + ".")
]
of_tests = [name for name in names if name.startswith({TESTING[0]!r}) or {TESTING[1]!r} in name]
for name in names:
    if name not in of_tests:
        importlib.import_module(name)
if loaded := ", ".join(sys.modules.keys() & {OF_TESTS}):
    sys.exit(f"{{loaded}}: production has no such package, so only {TESTING[0]} may import it")
for name in of_tests:
    importlib.import_module(name)
print(f"Imported {{len(names)}} modules.")
"""


def check(project: Project, *, examples: Sequence[str] = ()) -> int:
    """Check a copy of the kit and of the packages `examples`.

    Return the exit code of the first command that failed.
    """
    cache = project.root / CACHE
    packages = [KIT, *examples]
    # Without PYTHONPATH, which could contain the project's folder. Examples read their settings
    # when they are imported.
    required = {name: secrets.token_urlsafe(48) for name in ("SECRET_KEY", "JWT_SECRET_KEY")}
    environment = {"PATH": "", "ENV_FILE": os.devnull, **required}
    with TemporaryDirectory() as folder:
        copied = Path(folder)
        for package in packages:
            ignored = shutil.ignore_patterns("*.pyc", "*.db*", ".env")
            shutil.copytree(project.root / package, copied / package, ignore=ignored)
        shutil.copy(project.root / CONFIGURATION, copied)
        checked = [option for package in packages for option in ("-p", package)]
        commands = [
            [sys.executable, "-c", IMPORT_ALL, *packages],
            [sys.executable, "-m", "mypy", "--cache-dir", str(cache), *checked],
        ]
        results = (
            subprocess.run(command, cwd=copied, env=environment, check=False)  # noqa: S603  # ours
            for command in commands
        )
        return next((done.returncode for done in results if done.returncode), 0)
