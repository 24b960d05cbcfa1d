"""Limit the modules that a worker loads before its first request.

Each module costs start-up time and memory of every worker. Seconds differ between machines; the
number of modules does not. A file has the budget of each package, for SQLite alone and for every
service; a package without a budget may load no module. Modules of the application and of the kit
are not counted: each feature adds some.
"""

import json
import os
import secrets
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import Final

from mscr.project import Project

STANDARD_LIBRARY: Final = "the standard library"
# async_timeout replaces part of the standard library before Python 3.11.3.
NOT_COUNTED: Final = {"__main__", "mscr", "async_timeout"}
# Tolerates small differences between releases of a library and between operating systems.
ROUNDED_UP_TO: Final = 5
# Versions of Python differ by more.
STANDARD_LIBRARY_SHARE: Final = 1.2
EXAMPLES: Final = 12

# Prints each new module with the project's module that imported it, directly or not. Modules
# without a spec belong to an extension, with names from its compiler.
PROBE: Final = """
import sys
loaded, found = set(sys.modules), {{}}
class Watcher:
    def find_spec(self, name, *_):
        frame = sys._getframe()
        while frame and not frame.f_globals.get("__name__", "").startswith(("{package}.", "mscr.")):
            frame = frame.f_back
        found.setdefault(name, frame.f_globals["__name__"] if frame else "")
sys.meta_path.insert(0, Watcher())
import {package}.main
for name, module in sys.modules.items():
    if name not in loaded and getattr(module, "__spec__", None):
        print(name, found.get(name, ""))
"""
SITUATIONS: Final[dict[str, dict[str, str]]] = {
    "SQLite alone": {"DATABASE_URL": "sqlite+aiosqlite:///./never-opened.db"},
    "every service": {
        "DATABASE_URL": "postgresql+asyncpg://nobody@localhost/none",
        "REDIS_URL": "redis://localhost/0",
        "SMTP_URL": "smtp://localhost",
        "REGISTRATION_BY_MAIL": "true",
    },
}

Budget = dict[str, int]
# By package: each module, and the project's module that imported it.
Loaded = dict[str, dict[str, str]]


def load_application(project: Project, settings: dict[str, str]) -> Loaded:
    """Import the application in a separate process, and return the modules that it loads."""
    required = {name: secrets.token_urlsafe(48) for name in ("SECRET_KEY", "JWT_SECRET_KEY")}
    environment = {"PATH": os.defpath, "ENV_FILE": os.devnull, **required, **settings}
    done = subprocess.run(  # noqa: S603  # our own code
        [sys.executable, "-c", PROBE.format(package=project.package)],
        cwd=project.import_root,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    loaded: Loaded = {}
    for line in done.stdout.splitlines():
        module, _, importer = line.partition(" ")
        package = _package_of(module)
        if package not in {project.package, *NOT_COUNTED}:
            loaded.setdefault(package, {})[module] = importer
    return loaded


def find_excesses(loaded: Loaded, budget: Budget) -> list[str]:
    """Return a line for each package that exceeds its budget."""
    return [
        _describe(package, modules, budget.get(package, 0))
        for package, modules in loaded.items()
        if len(modules) > budget.get(package, 0)
    ]


def _package_of(module: str) -> str:
    top = module.partition(".")[0]
    # `_sysconfigdata` has the platform in its name.
    is_standard = top in sys.stdlib_module_names or top.startswith("_sysconfigdata")
    return STANDARD_LIBRARY if is_standard else top


def _allowance(package: str, count: int) -> int:
    share = STANDARD_LIBRARY_SHARE if package == STANDARD_LIBRARY else 1
    return ceil(count * share / ROUNDED_UP_TO) * ROUNDED_UP_TO


def _describe(package: str, modules: dict[str, str], allowed: int) -> str:
    lines = [f"{package}: {len(modules)} modules, and {allowed} are allowed"]
    for importer, count in Counter(modules.values()).most_common():
        names = [module for module, asked in modules.items() if asked == importer]
        more = ", ..." if count > EXAMPLES else ""
        origin = importer or "no module of the application"
        lines.append(f"    {count} through {origin}: {', '.join(names[:EXAMPLES])}{more}")
    return "\n".join(lines)


def write(project: Project, file: Path) -> None:
    """Write the present numbers, rounded up, as the budgets."""
    budgets = {
        name: {
            package: _allowance(package, len(modules))
            for package, modules in sorted(load_application(project, settings).items())
        }
        for name, settings in SITUATIONS.items()
    }
    file.write_text(json.dumps(budgets, indent=2) + "\n", encoding="utf-8")


def check(project: Project, file: Path) -> None:
    """Print the number of modules that a start loads. Fail if a package exceeds its budget."""
    budgets: dict[str, Budget] = json.loads(file.read_text(encoding="utf-8"))
    failed = False
    for name, settings in SITUATIONS.items():
        loaded = load_application(project, settings)
        for excess in find_excesses(loaded, budgets[name]):
            failed = True
            print(f"{name}: {excess}", file=sys.stderr)  # noqa: T201  # a command
        print(f"{name}: {sum(map(len, loaded.values()))} modules")  # noqa: T201  # as above
    if failed:
        sys.exit(
            "a start loads more modules than allowed: import them where they are used, or allow "
            "them with python -m checks.import_budget --write"
        )


def main(project: Project, file: Path, arguments: Sequence[str]) -> None:
    """Check the budgets in the file, or with `--write` update them."""
    if list(arguments) == ["--write"]:
        write(project, file)
    else:
        check(project, file)
