"""Finds migrations that would stop the application on a large table: `make check` runs this.

Each migration's SQL for PostgreSQL goes through squawk, by itself: what it does to tables that it
makes itself locks nobody out. A migration that has to do what is found says which rule does not
apply to it, and why: `lock_exemptions = {"ban-drop-column": "no release reads it since 1.4"}`.
"""

import io
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.script import Script, ScriptDirectory

PROJECT_ROOT: Final = Path(__file__).resolve().parents[1]
SQUAWK: Final = str(Path(sys.executable).with_name("squawk"))
# The oldest that is still maintained, and so the one that can do least without a lock.
POSTGRESQL_VERSION: Final = "14"
NO_SERVER: Final = "postgresql+asyncpg://"

NOT_APPLICABLE: Final = {
    "prefer-bigint-over-int": "tables that outgrow 32 bits have BigIntegerKey",
    "prefer-bigint-over-smallint": "likewise",
    "prefer-identity": "SQLAlchemy's integer keys are the same on both databases",
    "prefer-text-field": "bounds of texts are the API's as well, and making them larger is free",
    "prefer-robust-stmts": "a migration is one transaction: there is no half to begin again from",
    "require-lock-timeout": "env.py sets it for every transaction",
    "require-statement-timeout": "a migration takes as long as it takes, but waits for no lock",
}


@dataclass(frozen=True, slots=True)
class Finding:
    file: str
    rule: str
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.file}: {self.rule}: {self.message}\n    {self.remedy}"


def find_locks(config: Config) -> list[Finding]:
    """Of all migrations, the oldest first."""
    scripts = ScriptDirectory.from_config(config)
    migrations = reversed(list(scripts.walk_revisions()))
    return [found for migration in migrations for found in _check(config, migration)]


def _check(config: Config, migration: Script) -> list[Finding]:
    exemptions = getattr(migration.module, "lock_exemptions", {})
    done = subprocess.run(  # noqa: S603  # our own linter
        [SQUAWK, "--reporter=json", f"--pg-version={POSTGRESQL_VERSION}"]
        + [f"--exclude={rule}" for rule in {**NOT_APPLICABLE, **exemptions}],
        input=_sql_of(config, migration),
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        found = json.loads(done.stdout)
    except ValueError:
        raise RuntimeError(f"squawk failed: {done.stderr}") from None
    return [
        Finding(Path(migration.path).name, one["rule_name"], one["message"], one["help"] or "")
        for one in found
    ]


def _sql_of(config: Config, migration: Script) -> str:
    printed = io.StringIO()
    config.output_buffer = printed
    # From each of its parents: a migration that only joins two branches has none to itself.
    for parent in migration._versioned_down_revisions or ("base",):  # noqa: SLF001  # no public way
        command.upgrade(config, f"{parent}:{migration.revision}", sql=True)
    return printed.getvalue()


def main() -> None:
    config = Config(PROJECT_ROOT / "alembic.ini", stdout=io.StringIO())
    config.set_main_option("sqlalchemy.url", NO_SERVER)
    findings = find_locks(config)
    for finding in findings:
        print(finding, file=sys.stderr)  # noqa: T201  # a command
    if findings:
        sys.exit("migrations that lock: docs/database.md#migrations tells what to do instead")
    print("no migration locks a table for long")  # noqa: T201


if __name__ == "__main__":
    main()
