"""Counts the modules that a worker loads before its first request: `make check` runs this.

What is loaded costs every start and every worker's memory. Seconds differ from machine to machine;
the number of modules does not. `import_budget.json` has how many each package may have, on SQLite
alone and with every service, and a package that it does not name may have none. Whoever wants more
says so: `python -m checks.import_budget --write`, and commits what that changed. The application's
own modules are not counted: there is one more with each feature.
"""

import json
import os
import secrets
import subprocess
import sys
from collections import Counter
from math import ceil
from pathlib import Path
from typing import Final

PROJECT_ROOT: Final = Path(__file__).resolve().parents[1]
BUDGETS: Final = Path(__file__).with_name("import_budget.json")
STANDARD_LIBRARY: Final = "the standard library"
# What stands in for the standard library where Python is older than 3.11.3, is part of that.
NOT_COUNTED: Final = {"__main__", "app", "async_timeout"}
# A release of a library, or another operating system, has one more or less.
ROUNDED_UP_TO: Final = 5
# Between versions of Python the difference is larger.
STANDARD_LIBRARY_SHARE: Final = 1.2
EXAMPLES: Final = 12

# Each new module with the module of the application that asked for it, directly or not. Those
# without a spec came with an extension, under names of its compiler's.
PROBE: Final = """
import sys
loaded, found = set(sys.modules), {}
class Watcher:
    def find_spec(self, name, *_):
        frame = sys._getframe()
        while frame and not frame.f_globals.get("__name__", "").startswith("app."):
            frame = frame.f_back
        found.setdefault(name, frame.f_globals["__name__"] if frame else "")
sys.meta_path.insert(0, Watcher())
import app.main
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
# By its package, each module and who asked for it.
Loaded = dict[str, dict[str, str]]


def load_application(settings: dict[str, str]) -> Loaded:
    """What a process of its own loads for `import app.main`."""
    required = {name: secrets.token_urlsafe(48) for name in ("SECRET_KEY", "JWT_SECRET_KEY")}
    environment = {"PATH": os.defpath, "ENV_FILE": os.devnull, **required, **settings}
    done = subprocess.run(  # noqa: S603  # ourselves
        [sys.executable, "-c", PROBE],
        cwd=PROJECT_ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    loaded: Loaded = {}
    for line in done.stdout.splitlines():
        module, _, importer = line.partition(" ")
        package = _package_of(module)
        if package not in NOT_COUNTED:
            loaded.setdefault(package, {})[module] = importer
    return loaded


def find_excesses(loaded: Loaded, budget: Budget) -> list[str]:
    """One for each package that has more modules than its budget."""
    return [
        _describe(package, modules, budget.get(package, 0))
        for package, modules in loaded.items()
        if len(modules) > budget.get(package, 0)
    ]


def _package_of(module: str) -> str:
    top = module.partition(".")[0]
    # It is named after the platform.
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


def write() -> None:
    """Allow what there is now, and a little more."""
    budgets = {
        name: {
            package: _allowance(package, len(modules))
            for package, modules in sorted(load_application(settings).items())
        }
        for name, settings in SITUATIONS.items()
    }
    BUDGETS.write_text(json.dumps(budgets, indent=2) + "\n", encoding="utf-8")


def check() -> None:
    budgets: dict[str, Budget] = json.loads(BUDGETS.read_text(encoding="utf-8"))
    failed = False
    for name, settings in SITUATIONS.items():
        loaded = load_application(settings)
        for excess in find_excesses(loaded, budgets[name]):
            failed = True
            print(f"{name}: {excess}", file=sys.stderr)  # noqa: T201  # a command
        print(f"{name}: {sum(map(len, loaded.values()))} modules")  # noqa: T201
    if failed:
        sys.exit(
            "a start loads more than it may: import it where it is used, or allow it with "
            "python -m checks.import_budget --write"
        )


if __name__ == "__main__":
    write() if sys.argv[1:] == ["--write"] else check()
