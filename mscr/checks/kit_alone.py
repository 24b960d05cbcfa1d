"""Check that the kit and the examples do not depend on the application.

Imports every module of `mscr/` and of the examples, and checks their types, in a folder that
contains nothing else. In the project's folder, both would find the application by accident. Only
`mscr.testing` and the tests of examples may import the packages that tests need: production does
not install them.

In the same folder, pytest imports all tests of the kit and of the examples, and runs some of them.
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

from mscr.checks.houses import KIT, TESTS
from mscr.project import Project

# The configuration of mypy.
CONFIGURATION: Final = "pyproject.toml"
# Persistent, so that mypy checks only modules that changed since the last run.
CACHE: Final = ".mypy_cache/kit_alone"
# The modules that may import the packages that tests need, and these packages.
TESTING: Final = (f"{KIT}.testing", ".tests")
CONFTEST: Final = f"{TESTS}/conftest.py"
PYTEST: Final = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
# The tests that run, as an option -k of pytest: logins, a resource, and no server.
SOME_TESTS: Final = "sqlite and (test_auth.py or test_notes.py or live_and_ready)"
OF_TESTS: Final = ("aiosmtpd", "coverage", "hypothesis", "pytest", "schemathesis")
IMPORT_ALL: Final = f"""
import importlib, pkgutil, sys
packages = [importlib.import_module(name) for name in sys.argv[1:]]
names = [
    module.name
    for package in packages
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + ".")
    if not module.name.startswith("{KIT}.{TESTS}.") # pytest imports these
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


def check(project: Project, *, examples: Sequence[str] = (), read: Sequence[str] = ()) -> int:
    """Check a copy of the kit, of the packages `examples`, and of the folders that tests `read`.

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
        for name in (*packages, *read):
            ignored = shutil.ignore_patterns("*.pyc", "*.db*", ".env")
            shutil.copytree(project.root / name, copied / name, ignore=ignored)
        shutil.copy(project.root / CONFIGURATION, copied)
        checked = [option for package in packages for option in ("-p", package)]
        commands = [
            [sys.executable, "-c", IMPORT_ALL, *packages],
            [sys.executable, "-m", "mypy", "--cache-dir", str(cache), *checked],
        ]
        # A project made from the template need not have them.
        found = [each.parent for name in packages for each in copied.glob(f"{name}/**/{CONFTEST}")]
        suites = [folder for folder in found if any(folder.rglob("test_*.py"))]
        if suites:
            commands.append([*PYTEST, "-k", SOME_TESTS, *map(str, suites)])
        results = (
            subprocess.run(command, cwd=copied, env=environment, check=False)  # noqa: S603  # ours
            for command in commands
        )
        return next((done.returncode for done in results if done.returncode), 0)
